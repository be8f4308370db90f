-- What keeps a planned desktop from being placed ([{"rule","message"}]), and why the newest desktop of a pool could not be made.
ALTER TABLE desktop ADD COLUMN obstacles jsonb NOT NULL DEFAULT '[]';
ALTER TABLE pool ADD COLUMN failure text NOT NULL DEFAULT '';
