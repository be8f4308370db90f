-- The two triggers that each connect runs say their notice themselves: a call of another function is a query of its own.
CREATE OR REPLACE FUNCTION usher_touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.resource_version := pg_current_xact_id()::text::bigint;
  IF current_setting('usher.quiet', true) IS DISTINCT FROM 'on' THEN
    PERFORM pg_notify('usher', replace(TG_TABLE_NAME, '_', '-'));
  END IF;
  RETURN NEW;
END $$;

CREATE OR REPLACE FUNCTION usher_touch_desktop() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.resource_version := pg_current_xact_id()::text::bigint;
  IF TG_OP = 'INSERT'
     OR (OLD.host, OLD.state = 'draining', OLD.restart_revision, OLD.console_revision, OLD.vcpus, OLD.ram_mib, OLD.template_version,
         OLD.system_revision, OLD.data_gib, OLD.clone)
        IS DISTINCT FROM
        (NEW.host, NEW.state = 'draining', NEW.restart_revision, NEW.console_revision, NEW.vcpus, NEW.ram_mib, NEW.template_version,
         NEW.system_revision, NEW.data_gib, NEW.clone)
  THEN
    NEW.wanted_version := NEW.resource_version;
  END IF;
  IF current_setting('usher.quiet', true) IS DISTINCT FROM 'on' THEN
    PERFORM pg_notify('usher', 'desktop');
  END IF;
  RETURN NEW;
END $$;
