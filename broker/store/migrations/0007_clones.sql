-- Instant clones, and desktops that are wiped or get a fresh system (docs/adr/0070-instant-clones.md). What a pool wants of
-- both stands in its spec; of a desktop it stands here from the moment it is planned.
ALTER TABLE desktop
  ADD COLUMN clone text NOT NULL DEFAULT 'linked' CHECK (clone IN ('linked', 'instant')),
  ADD COLUMN system_revision bigint NOT NULL DEFAULT 0,
  ADD COLUMN data_gib bigint NOT NULL DEFAULT 0,
  ADD COLUMN refreshed_at timestamptz,                      -- when the newest system_revision was asked for
  ADD COLUMN asked_at timestamptz,                          -- when the newest restart or fresh system was asked for
  ADD COLUMN seen_clone text NOT NULL DEFAULT 'linked',
  ADD COLUMN seen_clone_reason text NOT NULL DEFAULT '',
  ADD COLUMN seen_system_revision bigint NOT NULL DEFAULT 0;
ALTER TABLE pool ADD COLUMN made_instant_s bigint[] NOT NULL DEFAULT '{}'; -- as made_s, of instant clones
-- [{"template":{"name","version"},"vcpus","ram_mib","state","reason","since","took_s"}…] and the report's fetches.
ALTER TABLE host
  ADD COLUMN parents jsonb NOT NULL DEFAULT '[]',
  ADD COLUMN fetches jsonb NOT NULL DEFAULT '[]';
-- True: the person ended it; else it ran out, or somebody revoked it.
ALTER TABLE web_session ADD COLUMN signed_out boolean NOT NULL DEFAULT false;

-- What a host says of its parents, with what was learnt of them before: since when, and how long building one took.
CREATE FUNCTION usher_parents(before jsonb, said jsonb) RETURNS jsonb LANGUAGE sql STABLE AS $$
  SELECT coalesce(jsonb_agg(CASE
           WHEN b.p->>'state' = s.p->>'state' THEN b.p || s.p
           WHEN b.p->>'state' = 'building' AND s.p->>'state' = 'ready' THEN s.p || jsonb_build_object('since', usher_time(now()),
             'took_s', greatest(1, extract(epoch FROM now() - (b.p->>'since')::timestamptz)::bigint))
           ELSE jsonb_strip_nulls(s.p || jsonb_build_object('since', usher_time(now()), 'took_s', b.p->'took_s')) END
         ORDER BY s.n), '[]')
    FROM jsonb_array_elements(said) WITH ORDINALITY AS s(p, n)
    LEFT JOIN jsonb_array_elements(before) AS b(p)
      ON (b.p->'template', b.p->'vcpus', b.p->'ram_mib') = (s.p->'template', s.p->'vcpus', s.p->'ram_mib') $$;

-- Of what is fetched, that which is worth telling: each tenth of it.
CREATE FUNCTION usher_fetch_steps(fetches jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
  SELECT jsonb_agg(jsonb_build_array(f->'template', f->'reason', (f->>'received')::bigint * 10 / greatest((f->>'size')::bigint, 1)))
    FROM jsonb_array_elements(fetches) AS f $$;

DROP TRIGGER touch ON host;
CREATE TRIGGER touch BEFORE UPDATE ON host FOR EACH ROW
  WHEN ((OLD.spec, OLD.fingerprint, OLD.silent, OLD.version, OLD.domain_type, OLD.door, OLD.cpus, OLD.memory_mib, OLD.templates,
         OLD.parents, usher_fetch_steps(OLD.fetches))
        IS DISTINCT FROM
        (NEW.spec, NEW.fingerprint, NEW.silent, NEW.version, NEW.domain_type, NEW.door, NEW.cpus, NEW.memory_mib, NEW.templates,
         NEW.parents, usher_fetch_steps(NEW.fetches)))
  EXECUTE FUNCTION usher_touch();

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
  PERFORM usher_notify('desktop');
  RETURN NEW;
END $$;

-- Of what every host's answer says besides desktops: a change is told to all of them at once.
ALTER TABLE deployment ADD COLUMN wanted_version bigint NOT NULL DEFAULT 0;
GRANT UPDATE (wanted_version) ON deployment TO usher_broker;
CREATE FUNCTION usher_hosts_anew() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE deployment SET wanted_version = greatest(wanted_version, pg_current_xact_id()::text::bigint);
  PERFORM usher_notify('host');
  RETURN NULL;
END $$;
CREATE TRIGGER hosts_anew AFTER INSERT OR DELETE ON pool FOR EACH ROW EXECUTE FUNCTION usher_hosts_anew();
CREATE TRIGGER hosts_anew_changed AFTER UPDATE ON pool FOR EACH ROW
  WHEN ((OLD.spec, OLD.deleting) IS DISTINCT FROM (NEW.spec, NEW.deleting)) EXECUTE FUNCTION usher_hosts_anew();
CREATE TRIGGER hosts_anew AFTER UPDATE ON template FOR EACH ROW
  WHEN (OLD.spec IS DISTINCT FROM NEW.spec) EXECUTE FUNCTION usher_hosts_anew();
CREATE TRIGGER hosts_anew AFTER INSERT OR UPDATE OR DELETE ON entitlement FOR EACH ROW EXECUTE FUNCTION usher_hosts_anew();

CREATE OR REPLACE VIEW record_host AS
  SELECT id, name, resource_version, created_at, spec,
         jsonb_build_object(
           'state', CASE WHEN fingerprint IS NULL THEN 'waiting' WHEN last_seen IS NULL THEN 'joined'
                         WHEN last_seen < now() - interval '30 seconds' THEN 'unknown' ELSE 'up' END,
           'last_seen', usher_time(last_seen), 'joined_at', usher_time(joined_at), 'version', version,
           'domain_type', domain_type, 'door', door, 'cpus', cpus, 'memory_mib', memory_mib,
           'memory_free_mib', memory_free_mib, 'disk_free_mib', disk_free_mib, 'templates', to_jsonb(templates),
           'desktops', (SELECT count(*) FROM desktop d WHERE d.host = host.id), 'parents', parents, 'fetches', fetches) AS status
    FROM host;

CREATE OR REPLACE VIEW record_desktop AS
  SELECT d.id, d.name, d.resource_version, d.created_at,
         jsonb_build_object('pool', p.name, 'owner', o.name, 'template', d.template, 'template_version', d.template_version,
           'vcpus', d.vcpus, 'ram_mib', d.ram_mib, 'restart_revision', d.restart_revision, 'clone', d.clone,
           'system_revision', d.system_revision, 'data_gib', d.data_gib) AS spec,
         jsonb_build_object('state', d.state, 'reason', d.reason, 'since', usher_time(d.since), 'host', h.name,
           'seen', d.seen_state, 'seen_reason', d.seen_reason, 'starts', d.seen_starts,
           'restart_revision', d.seen_restart_revision, 'ready_at', usher_time(d.ready_at),
           'clone', CASE WHEN d.seen_state IN ('creating', 'starting', 'ready', 'stopped') THEN d.seen_clone END,
           'clone_reason', d.seen_clone_reason, 'system_revision', d.seen_system_revision) AS status
    FROM desktop d JOIN pool p ON p.id = d.pool LEFT JOIN person o ON o.id = d.owner LEFT JOIN host h ON h.id = d.host;
