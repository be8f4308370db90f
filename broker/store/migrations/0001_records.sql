-- The records. Every table of records has id, name, resource_version, created_at; what administrators see of it is
-- the view record_KIND. resource_version is the number of the transaction that changed the row last.
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO usher_broker;

CREATE FUNCTION usher_xact() RETURNS bigint LANGUAGE sql AS $$ SELECT pg_current_xact_id()::text::bigint $$;
-- The newest version that no unfinished transaction can still come before.
CREATE FUNCTION usher_horizon() RETURNS bigint LANGUAGE sql AS
  $$ SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint - 1 $$;
CREATE FUNCTION usher_time(at timestamptz) RETURNS text LANGUAGE sql STABLE AS
  $$ SELECT to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') $$;
-- A history with one more entry; the newest 20 are kept.
CREATE FUNCTION usher_note(history jsonb, rule text, message text) RETURNS jsonb LANGUAGE sql STABLE AS $$
  SELECT CASE WHEN jsonb_array_length(history) >= 20 THEN history - 0 ELSE history END
         || jsonb_build_array(jsonb_build_object('at', usher_time(now()), 'rule', rule, 'message', message)) $$;

CREATE FUNCTION usher_touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.resource_version := usher_xact();
  PERFORM pg_notify('usher', TG_TABLE_NAME);
  RETURN NEW;
END $$;

CREATE TABLE deployment (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  id uuid NOT NULL DEFAULT gen_random_uuid(),
  forgotten bigint NOT NULL DEFAULT 0  -- tombstones up to this version are no longer kept
);
INSERT INTO deployment DEFAULT VALUES;

CREATE TABLE deleted (
  kind text NOT NULL,
  id uuid NOT NULL,
  resource_version bigint NOT NULL,
  at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX deleted_by_version ON deleted (kind, resource_version);
CREATE FUNCTION usher_bury() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO deleted (kind, id, resource_version) VALUES (TG_TABLE_NAME, OLD.id, usher_xact());
  PERFORM pg_notify('usher', TG_TABLE_NAME);
  RETURN NULL;
END $$;

-- ---- what administrators want ----

CREATE TABLE template (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  name text NOT NULL UNIQUE,
  resource_version bigint NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL DEFAULT now(),
  spec jsonb NOT NULL
);

CREATE TABLE pool (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  name text NOT NULL UNIQUE,
  resource_version bigint NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL DEFAULT now(),
  spec jsonb NOT NULL,
  template uuid NOT NULL REFERENCES template,
  deleting boolean NOT NULL DEFAULT false,
  status jsonb NOT NULL DEFAULT '{}',
  history jsonb NOT NULL DEFAULT '[]',
  next_number bigint NOT NULL DEFAULT 1,       -- of the next desktop's name
  failures bigint NOT NULL DEFAULT 0,          -- desktops that failed to be made since one answered
  failed_at timestamptz,
  made_s bigint[] NOT NULL DEFAULT '{}'        -- how long the newest ones took until they answered
);
CREATE INDEX pool_by_template ON pool (template);

CREATE TABLE entitlement (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  name text NOT NULL UNIQUE,
  resource_version bigint NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL DEFAULT now(),
  spec jsonb NOT NULL,
  pool uuid NOT NULL REFERENCES pool ON DELETE CASCADE,
  key text NOT NULL                            -- what person.keys holds when it is entitled
);
CREATE INDEX entitlement_by_pool ON entitlement (pool, key);

CREATE TABLE host (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  name text NOT NULL UNIQUE,
  resource_version bigint NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL DEFAULT now(),
  spec jsonb NOT NULL,
  fingerprint text UNIQUE,
  joined_at timestamptz,
  wanted_version bigint NOT NULL DEFAULT 0,    -- of what its answer says besides desktops
  last_seen timestamptz,
  silent boolean NOT NULL DEFAULT false,       -- for watchers; decisions look at last_seen
  version text NOT NULL DEFAULT '',
  domain_type text NOT NULL DEFAULT '',
  door text NOT NULL DEFAULT '',
  cpus bigint NOT NULL DEFAULT 0,
  memory_mib bigint NOT NULL DEFAULT 0,
  memory_free_mib bigint NOT NULL DEFAULT 0,
  disk_free_mib bigint NOT NULL DEFAULT 0,
  templates text[] NOT NULL DEFAULT '{}'
);

CREATE TABLE join_token (
  hash text PRIMARY KEY,
  host uuid NOT NULL REFERENCES host ON DELETE CASCADE,
  expires_at timestamptz NOT NULL,
  used_at timestamptz
);

-- ---- people ----

CREATE TABLE person (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  key text NOT NULL UNIQUE,                    -- the name in one spelling
  name text NOT NULL,
  display_name text NOT NULL,
  dn text NOT NULL,
  groups text[] NOT NULL,
  group_names text[] NOT NULL,
  keys text[] NOT NULL,                        -- "user:KEY", "dn:GROUP-DN", "group:NAME" that entitle
  signed_in_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE web_session (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  person uuid NOT NULL REFERENCES person ON DELETE CASCADE,
  hash text NOT NULL UNIQUE,
  address text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz NOT NULL,
  revoked_at timestamptz
);
CREATE INDEX web_session_by_person ON web_session (person);
CREATE INDEX web_session_by_expiry ON web_session (expires_at);

CREATE TABLE attempt (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  account text NOT NULL,
  address text NOT NULL,
  at timestamptz NOT NULL DEFAULT now(),
  failed boolean NOT NULL DEFAULT false        -- false: under way
);
CREATE INDEX attempt_by_account ON attempt (account, at);
CREATE INDEX attempt_by_address ON attempt (address, at);

-- ---- desktops and sessions ----

CREATE TABLE desktop (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  name text NOT NULL UNIQUE,
  resource_version bigint NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL DEFAULT now(),
  pool uuid NOT NULL REFERENCES pool,
  owner uuid REFERENCES person,
  host uuid REFERENCES host,
  -- wanted
  state text NOT NULL DEFAULT 'planned',
  reason text NOT NULL DEFAULT '',
  since timestamptz NOT NULL DEFAULT now(),
  history jsonb NOT NULL DEFAULT '[]',
  template text NOT NULL,
  template_version bigint NOT NULL,
  vcpus bigint NOT NULL,
  ram_mib bigint NOT NULL,
  restart_revision bigint NOT NULL DEFAULT 0,
  console_revision bigint NOT NULL DEFAULT 0,
  console_secret bytea,                        -- sealed with keys/console.key
  console_valid_until timestamptz,
  wanted_version bigint NOT NULL DEFAULT 0,
  placed_at timestamptz,
  ready_at timestamptz,                        -- when it answered for the first time
  -- seen
  seen_state text,                             -- NULL: its host never said anything of it
  seen_reason text NOT NULL DEFAULT '',
  seen_console_revision bigint NOT NULL DEFAULT 0,
  seen_restart_revision bigint NOT NULL DEFAULT 0,
  seen_starts bigint NOT NULL DEFAULT 0,
  CHECK (state IN ('planned', 'provisioning', 'spare', 'assigned', 'stopped', 'suspended', 'failed', 'draining', 'gone')),
  CHECK (state <> 'spare' OR owner IS NULL),
  CHECK (state <> 'assigned' OR owner IS NOT NULL)
);
CREATE UNIQUE INDEX desktop_one_of_each_pool ON desktop (pool, owner)
  WHERE owner IS NOT NULL AND state NOT IN ('draining', 'gone');
CREATE INDEX desktop_by_pool ON desktop (pool, state);
CREATE INDEX desktop_by_owner ON desktop (owner);
CREATE INDEX desktop_by_host ON desktop (host);
CREATE INDEX desktop_to_place ON desktop (created_at) WHERE state = 'planned';

CREATE FUNCTION usher_touch_desktop() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'INSERT'
     OR (OLD.host, OLD.state = 'draining', OLD.restart_revision, OLD.console_revision, OLD.vcpus, OLD.ram_mib, OLD.template_version)
        IS DISTINCT FROM
        (NEW.host, NEW.state = 'draining', NEW.restart_revision, NEW.console_revision, NEW.vcpus, NEW.ram_mib, NEW.template_version)
  THEN
    NEW.wanted_version := usher_xact();
  END IF;
  NEW.resource_version := usher_xact();
  PERFORM pg_notify('usher', 'desktop');
  RETURN NEW;
END $$;

CREATE TABLE session (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  resource_version bigint NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL DEFAULT now(),
  desktop uuid NOT NULL,
  desktop_name text NOT NULL,
  pool text NOT NULL,
  person uuid NOT NULL REFERENCES person,
  state text NOT NULL DEFAULT 'offered',
  reason text NOT NULL DEFAULT '',
  since timestamptz NOT NULL DEFAULT now(),
  history jsonb NOT NULL DEFAULT '[]',
  client text NOT NULL,
  gateway text NOT NULL DEFAULT '',
  client_address text NOT NULL DEFAULT '',
  carrier text NOT NULL DEFAULT '',
  bytes_to_client bigint NOT NULL DEFAULT 0,
  bytes_to_desktop bigint NOT NULL DEFAULT 0,
  CHECK (state IN ('offered', 'connecting', 'active', 'disconnected', 'ended'))
);
CREATE INDEX session_by_desktop ON session (desktop);
CREATE INDEX session_open ON session (state, since) WHERE state <> 'ended';
CREATE INDEX session_by_age ON session (since);

CREATE TABLE ticket (
  hash text PRIMARY KEY,
  session uuid NOT NULL REFERENCES session ON DELETE CASCADE,
  expires_at timestamptz NOT NULL,
  redeemed_at timestamptz
);
CREATE INDEX ticket_by_session ON ticket (session);

-- ---- versions, notices and tombstones ----

CREATE INDEX template_by_version ON template (resource_version);
CREATE INDEX pool_by_version ON pool (resource_version);
CREATE INDEX entitlement_by_version ON entitlement (resource_version);
CREATE INDEX host_by_version ON host (resource_version);
CREATE INDEX desktop_by_version ON desktop (resource_version);
CREATE INDEX session_by_version ON session (resource_version);

CREATE TRIGGER touch BEFORE INSERT OR UPDATE ON template FOR EACH ROW EXECUTE FUNCTION usher_touch();
CREATE TRIGGER touch BEFORE INSERT OR UPDATE ON entitlement FOR EACH ROW EXECUTE FUNCTION usher_touch();
CREATE TRIGGER touch_new BEFORE INSERT ON pool FOR EACH ROW EXECUTE FUNCTION usher_touch();
CREATE TRIGGER touch BEFORE UPDATE ON pool FOR EACH ROW
  WHEN ((OLD.spec, OLD.status, OLD.deleting, OLD.failures) IS DISTINCT FROM (NEW.spec, NEW.status, NEW.deleting, NEW.failures))
  EXECUTE FUNCTION usher_touch();
CREATE TRIGGER touch_new BEFORE INSERT ON host FOR EACH ROW EXECUTE FUNCTION usher_touch();
-- Figures that change with every report are no news.
CREATE TRIGGER touch BEFORE UPDATE ON host FOR EACH ROW
  WHEN ((OLD.spec, OLD.fingerprint, OLD.silent, OLD.version, OLD.domain_type, OLD.door, OLD.cpus, OLD.memory_mib, OLD.templates)
        IS DISTINCT FROM
        (NEW.spec, NEW.fingerprint, NEW.silent, NEW.version, NEW.domain_type, NEW.door, NEW.cpus, NEW.memory_mib, NEW.templates))
  EXECUTE FUNCTION usher_touch();
CREATE TRIGGER touch_new BEFORE INSERT ON desktop FOR EACH ROW EXECUTE FUNCTION usher_touch_desktop();
CREATE TRIGGER touch BEFORE UPDATE ON desktop FOR EACH ROW
  WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION usher_touch_desktop();
CREATE TRIGGER touch BEFORE INSERT OR UPDATE ON session FOR EACH ROW EXECUTE FUNCTION usher_touch();

CREATE TRIGGER bury AFTER DELETE ON template FOR EACH ROW EXECUTE FUNCTION usher_bury();
CREATE TRIGGER bury AFTER DELETE ON pool FOR EACH ROW EXECUTE FUNCTION usher_bury();
CREATE TRIGGER bury AFTER DELETE ON entitlement FOR EACH ROW EXECUTE FUNCTION usher_bury();
CREATE TRIGGER bury AFTER DELETE ON host FOR EACH ROW EXECUTE FUNCTION usher_bury();
CREATE TRIGGER bury AFTER DELETE ON desktop FOR EACH ROW EXECUTE FUNCTION usher_bury();
CREATE TRIGGER bury AFTER DELETE ON session FOR EACH ROW EXECUTE FUNCTION usher_bury();

GRANT SELECT ON deployment TO usher_broker;
GRANT UPDATE (forgotten) ON deployment TO usher_broker;
GRANT SELECT, INSERT, UPDATE, DELETE ON
  deleted, template, pool, entitlement, host, join_token, person, web_session, attempt, desktop, session, ticket
  TO usher_broker;
