-- What administrators see: one view a kind, all with the same columns.
CREATE VIEW record_template AS
  SELECT id, name, resource_version, created_at, spec, '{}'::jsonb AS status FROM template;

CREATE VIEW record_pool AS
  SELECT id, name, resource_version, created_at, spec,
         status || CASE WHEN deleting THEN '{"deleting": true}'::jsonb ELSE '{}'::jsonb END AS status
    FROM pool;

CREATE VIEW record_entitlement AS
  SELECT id, name, resource_version, created_at, spec, '{}'::jsonb AS status FROM entitlement;

CREATE VIEW record_host AS
  SELECT id, name, resource_version, created_at, spec,
         jsonb_build_object(
           'state', CASE WHEN fingerprint IS NULL THEN 'waiting' WHEN last_seen IS NULL THEN 'joined'
                         WHEN last_seen < now() - interval '30 seconds' THEN 'unknown' ELSE 'up' END,
           'last_seen', usher_time(last_seen), 'joined_at', usher_time(joined_at), 'version', version,
           'domain_type', domain_type, 'door', door, 'cpus', cpus, 'memory_mib', memory_mib,
           'memory_free_mib', memory_free_mib, 'disk_free_mib', disk_free_mib, 'templates', to_jsonb(templates),
           'desktops', (SELECT count(*) FROM desktop d WHERE d.host = host.id)) AS status
    FROM host;

CREATE VIEW record_desktop AS
  SELECT d.id, d.name, d.resource_version, d.created_at,
         jsonb_build_object('pool', p.name, 'owner', o.name, 'template', d.template, 'template_version', d.template_version,
           'vcpus', d.vcpus, 'ram_mib', d.ram_mib, 'restart_revision', d.restart_revision) AS spec,
         jsonb_build_object('state', d.state, 'reason', d.reason, 'since', usher_time(d.since), 'host', h.name,
           'seen', d.seen_state, 'seen_reason', d.seen_reason, 'starts', d.seen_starts,
           'restart_revision', d.seen_restart_revision, 'ready_at', usher_time(d.ready_at)) AS status
    FROM desktop d JOIN pool p ON p.id = d.pool LEFT JOIN person o ON o.id = d.owner LEFT JOIN host h ON h.id = d.host;

CREATE VIEW record_session AS
  SELECT s.id, s.id::text AS name, s.resource_version, s.created_at,
         jsonb_build_object('user', o.name, 'desktop', s.desktop, 'desktop_name', s.desktop_name, 'pool', s.pool,
           'client', s.client) AS spec,
         jsonb_build_object('state', s.state, 'reason', s.reason, 'since', usher_time(s.since), 'gateway', s.gateway,
           'client_address', s.client_address, 'carrier', s.carrier, 'bytes_to_client', s.bytes_to_client,
           'bytes_to_desktop', s.bytes_to_desktop) AS status
    FROM session s JOIN person o ON o.id = s.person;

CREATE VIEW record_audit AS
  SELECT id, seq::text AS name, resource_version, at AS created_at, seq,
         jsonb_build_object('actor', actor, 'action', action, 'outcome', outcome, 'kind', kind, 'object', object,
           'object_id', object_id, 'message', message, 'address', address, 'request', request) AS spec,
         jsonb_build_object('seq', seq) AS status
    FROM audit;

GRANT SELECT ON record_template, record_pool, record_entitlement, record_host, record_desktop, record_session, record_audit
  TO usher_broker;
