# Makes the C table of migrations (broker/store/migration_list.h) from NNNN_name.sql files.
BEGIN { print "#include \"broker/store/migration_list.h\"\n\nconst UsherMigration usher_migrations[] = {" }
FNR == 1 {
  if (NR > 1) print "  },"
  name = FILENAME
  sub(/^.*\//, "", name); sub(/\.sql$/, "", name)
  number = name + 0
  if (number != ++count) { print FILENAME ": is not migration " count > "/dev/stderr"; exit 1 }
  printf "  { %d, \"%s\",\n", number, name
}
{ gsub(/\\/, "\\\\"); gsub(/"/, "\\\""); printf "    \"%s\\n\"\n", $0 }
END { print "  },\n  { 0, NULL, NULL },\n};" }
