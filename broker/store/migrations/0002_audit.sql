-- The audit trail. The broker's role adds and reads; nobody changes or removes a line: it lacks the right, and
-- a trigger refuses even the owner.
CREATE TABLE audit (
  seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  id uuid NOT NULL DEFAULT gen_random_uuid() UNIQUE,
  resource_version bigint NOT NULL DEFAULT usher_xact(),
  at timestamptz NOT NULL DEFAULT now(),
  actor text NOT NULL DEFAULT '',
  address text NOT NULL DEFAULT '',
  request text NOT NULL DEFAULT '',
  action text NOT NULL,
  outcome text NOT NULL,
  kind text NOT NULL DEFAULT '',
  object_id text NOT NULL DEFAULT '',
  object text NOT NULL DEFAULT '',
  message text NOT NULL DEFAULT ''
);
CREATE INDEX audit_by_version ON audit (resource_version);
CREATE INDEX audit_by_object ON audit (object_id, seq) WHERE object_id <> '';

CREATE FUNCTION usher_audit_stands() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the audit trail is not changed' USING ERRCODE = 'UA001';
END $$;
CREATE TRIGGER stands BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
  FOR EACH STATEMENT EXECUTE FUNCTION usher_audit_stands();

GRANT SELECT ON audit TO usher_broker;
GRANT INSERT (actor, address, request, action, outcome, kind, object_id, object, message) ON audit TO usher_broker;
