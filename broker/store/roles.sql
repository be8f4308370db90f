-- The two roles and the database, for whoever makes the cluster. Run as superuser, with ON_ERROR_STOP:
--
--     psql -v ON_ERROR_STOP=1 -d postgres -f broker/store/roles.sql
--
-- usher_owner owns the tables and migrates them; usher_broker is what brokers run as. Neither is a
-- superuser. May be run again. How they log in (peer, password, certificate) is the cluster's pg_hba.conf.
SELECT 'CREATE ROLE usher_owner LOGIN' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'usher_owner') \gexec
SELECT 'CREATE ROLE usher_broker LOGIN' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'usher_broker') \gexec
SELECT 'CREATE DATABASE usher OWNER usher_owner ENCODING ''UTF8'' TEMPLATE template0'
  WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'usher') \gexec
REVOKE ALL ON DATABASE usher FROM PUBLIC;
GRANT CONNECT ON DATABASE usher TO usher_owner, usher_broker;
