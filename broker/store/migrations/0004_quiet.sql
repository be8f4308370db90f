-- A transaction that has set usher.quiet sends no notice: its broker sends one after the commit (see docs/adr/0031-store.md).
CREATE FUNCTION usher_notify(kind text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF current_setting('usher.quiet', true) IS DISTINCT FROM 'on' THEN
    PERFORM pg_notify('usher', kind);
  END IF;
END $$;

CREATE OR REPLACE FUNCTION usher_touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.resource_version := pg_current_xact_id()::text::bigint;
  PERFORM usher_notify(TG_TABLE_NAME);
  RETURN NEW;
END $$;

CREATE OR REPLACE FUNCTION usher_touch_desktop() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.resource_version := pg_current_xact_id()::text::bigint;
  IF TG_OP = 'INSERT'
     OR (OLD.host, OLD.state = 'draining', OLD.restart_revision, OLD.console_revision, OLD.vcpus, OLD.ram_mib, OLD.template_version)
        IS DISTINCT FROM
        (NEW.host, NEW.state = 'draining', NEW.restart_revision, NEW.console_revision, NEW.vcpus, NEW.ram_mib, NEW.template_version)
  THEN
    NEW.wanted_version := NEW.resource_version;
  END IF;
  PERFORM usher_notify('desktop');
  RETURN NEW;
END $$;
