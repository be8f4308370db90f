-- Versions of templates that the broker took in, and those on their way in. A version that only lies on hosts has no row
-- here and works as before. Kinds are spelt with '-', tables with '_'.
CREATE OR REPLACE FUNCTION usher_touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.resource_version := pg_current_xact_id()::text::bigint;
  PERFORM usher_notify(replace(TG_TABLE_NAME, '_', '-'));
  RETURN NEW;
END $$;

CREATE TABLE template_version (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  template text NOT NULL,                      -- a name: the template's record may not be there yet, or no more
  version bigint NOT NULL CHECK (version > 0),
  name text NOT NULL GENERATED ALWAYS AS (template || '.' || version::text) STORED UNIQUE,
  resource_version bigint NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL DEFAULT now(),
  created_by text NOT NULL DEFAULT '',
  manifest jsonb NOT NULL,
  files jsonb NOT NULL,                        -- [{"file","size","sha256"}], manifest.json among them
  note text NOT NULL DEFAULT '',
  parent bigint,
  digest text NOT NULL,                        -- of what was sent, to know it again
  upload uuid UNIQUE,                          -- the upload it was: who asks twice gets the same answer
  state text NOT NULL DEFAULT 'draft',
  since timestamptz NOT NULL DEFAULT now(),    -- in that state
  published_at timestamptz,                    -- for the last time
  stored boolean NOT NULL DEFAULT true,        -- its files lie in the broker's folder
  history jsonb NOT NULL DEFAULT '[]',
  UNIQUE (template, version),
  CHECK (state IN ('draft', 'published', 'retired'))
);
CREATE INDEX template_version_by_version ON template_version (resource_version);
CREATE INDEX template_version_by_digest ON template_version (digest);

CREATE FUNCTION usher_version_stands() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'a template version does not change' USING ERRCODE = 'UA003';
END $$;
CREATE TRIGGER stands BEFORE UPDATE ON template_version FOR EACH ROW
  WHEN ((OLD.id, OLD.template, OLD.version, OLD.created_at, OLD.created_by, OLD.manifest, OLD.files, OLD.note, OLD.parent, OLD.digest, OLD.upload)
        IS DISTINCT FROM
        (NEW.id, NEW.template, NEW.version, NEW.created_at, NEW.created_by, NEW.manifest, NEW.files, NEW.note, NEW.parent, NEW.digest, NEW.upload)
        OR (OLD.state = 'retired' AND NEW.state <> 'retired') OR (NEW.stored AND NOT OLD.stored))
  EXECUTE FUNCTION usher_version_stands();
CREATE TRIGGER touch BEFORE INSERT OR UPDATE ON template_version FOR EACH ROW EXECUTE FUNCTION usher_touch();

CREATE TABLE template_upload (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  template text NOT NULL,
  manifest jsonb NOT NULL,                     -- without version, parent, note and files
  files jsonb NOT NULL,
  note text NOT NULL DEFAULT '',
  parent bigint,
  digest text NOT NULL UNIQUE,
  created_by text NOT NULL DEFAULT '',
  created_at timestamptz NOT NULL DEFAULT now(),
  touched_at timestamptz NOT NULL DEFAULT now(),
  version bigint,                              -- the number it was given, once it was checked
  UNIQUE (template, version)
);

-- ---- which one is published ----

-- The versions published before, newest last: what a rollback goes back to.
ALTER TABLE template ADD COLUMN previous bigint[] NOT NULL DEFAULT '{}';

CREATE FUNCTION usher_refuse_retired(template_name text, number bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM template_version v WHERE v.template = template_name AND v.version = number AND v.state = 'retired') THEN
    RAISE EXCEPTION 'version % of template "%" is retired', number, template_name USING ERRCODE = 'UA002';
  END IF;
END $$;

CREATE FUNCTION usher_publish() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM usher_refuse_retired(NEW.name, (NEW.spec->>'version')::bigint);
  IF TG_OP = 'UPDATE' AND NEW.previous = OLD.previous THEN -- no rollback
    NEW.previous := (OLD.previous || (OLD.spec->>'version')::bigint)[greatest(1, cardinality(OLD.previous) - 98):];
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER publish_new BEFORE INSERT ON template FOR EACH ROW EXECUTE FUNCTION usher_publish();
CREATE TRIGGER publish BEFORE UPDATE ON template FOR EACH ROW
  WHEN (OLD.spec->>'version' IS DISTINCT FROM NEW.spec->>'version') EXECUTE FUNCTION usher_publish();

CREATE FUNCTION usher_show_published() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  message text := 'its template was deleted';
BEGIN
  IF TG_OP <> 'DELETE' THEN
    message := format('version %s was published', NEW.spec->>'version');
  END IF;
  IF TG_OP <> 'INSERT' THEN
    UPDATE template_version SET state = 'draft', since = now(), history = usher_note(history, 'draft', message)
     WHERE template = OLD.name AND version = (OLD.spec->>'version')::bigint AND state = 'published';
  END IF;
  IF TG_OP <> 'DELETE' THEN
    UPDATE template_version SET state = 'published', since = now(), published_at = now(),
           history = usher_note(history, 'published', 'it is what pools get that name no version')
     WHERE template = NEW.name AND version = (NEW.spec->>'version')::bigint AND state = 'draft';
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER show_new AFTER INSERT OR DELETE ON template FOR EACH ROW EXECUTE FUNCTION usher_show_published();
CREATE TRIGGER show AFTER UPDATE ON template FOR EACH ROW
  WHEN (OLD.spec->>'version' IS DISTINCT FROM NEW.spec->>'version') EXECUTE FUNCTION usher_show_published();

CREATE FUNCTION usher_check_pool() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM usher_refuse_retired(NEW.spec->>'template', (NEW.spec->>'template_version')::bigint);
  RETURN NEW;
END $$;
CREATE TRIGGER check_version BEFORE INSERT OR UPDATE OF spec ON pool FOR EACH ROW EXECUTE FUNCTION usher_check_pool();

-- ---- what every host is told of versions ----

CREATE TRIGGER hosts_anew_new AFTER INSERT ON template_version FOR EACH ROW EXECUTE FUNCTION usher_hosts_anew();
CREATE TRIGGER hosts_anew AFTER UPDATE ON template_version FOR EACH ROW
  WHEN (OLD.stored IS DISTINCT FROM NEW.stored) EXECUTE FUNCTION usher_hosts_anew();

-- What a host should have: what pools get and what its desktops stand on. Without files when the broker has none of it:
-- it lies on hosts only, and must stay there.
CREATE FUNCTION usher_host_versions(of_host uuid) RETURNS TABLE (template text, version bigint, files jsonb)
LANGUAGE sql STABLE AS $$
  WITH needed AS (
    SELECT t.name AS template, coalesce((p.spec->>'template_version')::bigint, (t.spec->>'version')::bigint) AS version
      FROM pool p JOIN template t ON t.id = p.template WHERE NOT p.deleting
    UNION
    SELECT d.template, d.template_version FROM desktop d WHERE d.host = of_host AND d.state <> 'gone')
  SELECT n.template, n.version, CASE WHEN v.stored THEN v.files ELSE '[]' END
    FROM needed n LEFT JOIN template_version v ON v.template = n.template AND v.version = n.version
   ORDER BY n.template, n.version $$;

-- Watchers of a version hear which hosts got it, or have it no more.
CREATE FUNCTION usher_touch_versions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE template_version SET resource_version = 0
   WHERE (template || '/' || version = ANY (OLD.templates)) <> (template || '/' || version = ANY (NEW.templates));
  RETURN NULL;
END $$;
CREATE TRIGGER touch_versions AFTER UPDATE ON host FOR EACH ROW WHEN (OLD.templates IS DISTINCT FROM NEW.templates)
  EXECUTE FUNCTION usher_touch_versions();

-- ---- the views ----

CREATE OR REPLACE VIEW record_template AS
  SELECT id, name, resource_version, created_at, spec,
         jsonb_build_object('versions', (SELECT count(*) FROM template_version v WHERE v.template = t.name AND v.state <> 'retired'),
           'previous', to_jsonb(previous)) AS status
    FROM template t;

CREATE VIEW record_template_version AS
  SELECT id, name, resource_version, created_at,
         jsonb_build_object('template', template, 'version', version, 'manifest', manifest, 'files', files, 'note', note,
           'parent', parent) AS spec,
         jsonb_build_object('state', state, 'since', usher_time(since), 'published_at', usher_time(published_at), 'stored', stored,
           'created_by', created_by,
           'size', (SELECT sum((f->>'size')::bigint) FROM jsonb_array_elements(files) f),
           'hosts', (SELECT coalesce(jsonb_agg(h.name ORDER BY h.name), '[]') FROM host h
                      WHERE v.template || '/' || v.version = ANY (h.templates)),
           'desktops', (SELECT count(*) FROM desktop d
                         WHERE d.template = v.template AND d.template_version = v.version AND d.state <> 'gone')) AS status
    FROM template_version v;

GRANT SELECT ON record_template_version TO usher_broker;
GRANT SELECT, INSERT, UPDATE ON template_version TO usher_broker;
GRANT SELECT, INSERT, UPDATE, DELETE ON template_upload TO usher_broker;
