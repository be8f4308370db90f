-- How a desktop belongs to its person stands from the moment it is planned: a pool that changes its mind wipes nothing that was
-- promised to be kept.
ALTER TABLE desktop ADD COLUMN assignment text NOT NULL DEFAULT 'dedicated'
  CHECK (assignment IN ('dedicated', 'floating', 'fresh-system'));

-- What a pool's next desktop is made from, with what its spec leaves out.
CREATE VIEW pool_wants AS
  SELECT p.id AS pool, t.name AS template,
         coalesce((p.spec->>'template_version')::bigint, (t.spec->>'version')::bigint) AS template_version,
         (p.spec->>'vcpus')::bigint AS vcpus, (p.spec->>'ram_mib')::bigint AS ram_mib,
         coalesce(p.spec->>'clone', 'instant') AS clone, coalesce(p.spec->>'assignment', 'dedicated') AS assignment,
         CASE WHEN p.spec->>'assignment' = 'fresh-system' THEN coalesce((p.spec->>'data_gib')::bigint, 10) ELSE 0 END AS data_gib,
         coalesce((p.spec->>'linger_s')::bigint, 300) AS linger_s
    FROM pool p JOIN template t ON t.id = p.template;
GRANT SELECT ON pool_wants TO usher_broker;

-- Owned desktops that somebody's leaving may end.
CREATE INDEX desktop_to_leave ON desktop (owner)
  WHERE owner IS NOT NULL AND assignment <> 'dedicated' AND state NOT IN ('draining', 'gone');

CREATE OR REPLACE VIEW record_desktop AS
  SELECT d.id, d.name, d.resource_version, d.created_at,
         jsonb_build_object('pool', p.name, 'owner', o.name, 'template', d.template, 'template_version', d.template_version,
           'vcpus', d.vcpus, 'ram_mib', d.ram_mib, 'restart_revision', d.restart_revision, 'clone', d.clone,
           'assignment', d.assignment, 'system_revision', d.system_revision, 'data_gib', d.data_gib) AS spec,
         jsonb_build_object('state', d.state, 'reason', d.reason, 'since', usher_time(d.since), 'host', h.name,
           'seen', d.seen_state, 'seen_reason', d.seen_reason, 'starts', d.seen_starts,
           'restart_revision', d.seen_restart_revision, 'ready_at', usher_time(d.ready_at),
           'clone', CASE WHEN d.seen_state IN ('creating', 'starting', 'ready', 'stopped') THEN d.seen_clone END,
           'clone_reason', d.seen_clone_reason, 'system_revision', d.seen_system_revision) AS status
    FROM desktop d JOIN pool p ON p.id = d.pool LEFT JOIN person o ON o.id = d.owner LEFT JOIN host h ON h.id = d.host;

-- ---- how long it takes ----

-- What a host said of the parent of that version and size, with "elapsed_s" since it is in its state; NULL: nothing.
CREATE FUNCTION usher_parent(parents jsonb, template text, template_version bigint, vcpus bigint, ram_mib bigint) RETURNS jsonb
LANGUAGE sql STABLE AS $$
  SELECT p || jsonb_build_object('elapsed_s', extract(epoch FROM now() - (p->>'since')::timestamptz)::bigint)
    FROM jsonb_array_elements(parents) AS p
   WHERE p @> jsonb_build_object('template', jsonb_build_object('name', $2, 'version', $3), 'vcpus', $4, 'ram_mib', $5) LIMIT 1 $$;
-- The most advanced of those on hosts that may be given a desktop now.
CREATE FUNCTION usher_best_parent(template text, template_version bigint, vcpus bigint, ram_mib bigint) RETURNS jsonb
LANGUAGE sql STABLE AS $$
  SELECT p FROM host h, usher_parent(h.parents, $1, $2, $3, $4) AS p
   WHERE p IS NOT NULL AND h.spec->>'mode' = 'active' AND h.last_seen > now() - interval '30 seconds'
   ORDER BY array_position(ARRAY['ready', 'building', 'failed', 'unable'], p->>'state'), p->>'since' LIMIT 1 $$;
