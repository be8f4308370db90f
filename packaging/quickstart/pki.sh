# shellcheck shell=bash
# The deployment's own certificate authority, and from it the gateway's and the broker's certificates. A key is
# made once and never leaves the machine; a certificate is made anew when it is missing or nearly over.

# openssl_config SUBJECT EXTENSIONS: both as a configuration on standard output.
openssl_config() {
  printf '[req]\ndistinguished_name=dn\nprompt=no\nx509_extensions=ext\n[dn]\nO=Usher\nCN=%s\n[ext]\n%s\n' "$1" "$2"
}

make_key() { # FILE OWNER
  [[ -s $1 ]] && return
  (umask 077 && openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1.new") 2>>"$log_dir/quickstart.log" ||
    (umask 077 && openssl ecparam -name prime256v1 -genkey -noout -out "$1.new")
  chown "$2" "$1.new"
  chmod 640 "$1.new"
  mv -f "$1.new" "$1"
}

is_good() { [[ -s $1 ]] && openssl x509 -in "$1" -noout -checkend $((30 * 86400)) >/dev/null 2>&1; }

make_ca() {
  local dir=$state/pki
  make_key "$dir/ca.key" root:usher
  is_good "$dir/ca.pem" && return
  openssl_config 'Usher deployment CA' 'basicConstraints=critical,CA:TRUE,pathlen:0
keyUsage=critical,keyCertSign,cRLSign
subjectKeyIdentifier=hash' >"$dir/ca.cnf"
  logged openssl req -x509 -new -config "$dir/ca.cnf" -key "$dir/ca.key" -days 3650 -out "$dir/ca.pem.new"
  mv -f "$dir/ca.pem.new" "$dir/ca.pem"
}

# make_certificate NAME OWNER-OF-KEY COMMON-NAME SUBJECT-ALTERNATIVE-NAMES USAGE
make_certificate() {
  local dir=$state/pki name=$1
  make_key "$dir/$name.key" "$2"
  is_good "$dir/$name.pem" && openssl verify -CAfile "$dir/ca.pem" "$dir/$name.pem" >/dev/null 2>&1 && return
  openssl_config "$3" "basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature
extendedKeyUsage=$5
subjectAltName=$4" >"$dir/$name.cnf"
  logged openssl req -new -config "$dir/$name.cnf" -key "$dir/$name.key" -out "$dir/$name.csr"
  logged openssl x509 -req -in "$dir/$name.csr" -CA "$dir/ca.pem" -CAkey "$dir/ca.key" -days 825 \
    -extfile "$dir/$name.cnf" -extensions ext -out "$dir/$name.pem.new"
  mv -f "$dir/$name.pem.new" "$dir/$name.pem"
  rm -f "$dir/$name.csr"
}

# Every name the machine may be reached by.
gateway_names() {
  local names=DNS:localhost,IP:127.0.0.1,IP:::1,DNS:$host_name full
  full=$(hostname -f 2>/dev/null || :)
  [[ ! $full =~ ^[A-Za-z0-9.-]+$ || $full == "$host_name" || $full == localhost ]] || names+=,DNS:$full
  if [[ $address =~ ^[0-9.]+$ ]]; then names+=,IP:$address
  elif [[ $address != localhost && $address != "$host_name" && $address != "$full" ]]; then names+=,DNS:$address; fi
  printf '%s\n' "$names"
}

make_pki() {
  make_ca
  make_certificate gateway root:usher-edge "$address" "$(gateway_names)" serverAuth
  make_certificate broker root:usher "Usher broker" "DNS:localhost,IP:127.0.0.1,DNS:$host_name" serverAuth
  chmod 644 "$state"/pki/*.pem
  rm -f "$state"/pki/*.cnf
}
