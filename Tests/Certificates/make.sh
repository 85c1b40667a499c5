#!/usr/bin/env bash
# Made the certificates beside it, which the tests of TLS use and nobody else trusts. To be run
# again only to change them: they are good for a hundred years.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
days=36500

key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1-key.pem"; }

authority() { # NAME
    key "$1"
    openssl req -x509 -new -key "$1-key.pem" -days $days -subj "/CN=$1" -out "$1.pem" \
        -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign
}

signed() { # NAME SUBJECT AUTHORITY EXTENSION...
    local name=$1 subject=$2 authority=$3
    shift 3
    key "$name"
    openssl req -new -key "$name-key.pem" -subj "$subject" |
        openssl x509 -req -CA "$authority.pem" -CAkey "$authority-key.pem" -days $days \
            -extfile <(printf '%s\n' "$@") -out "$name.pem"
}

authority authority
authority other-authority
localhost=subjectAltName=DNS:localhost,IP:127.0.0.1
signed server /CN=localhost authority $localhost extendedKeyUsage=serverAuth
signed renewed /CN=localhost authority $localhost extendedKeyUsage=serverAuth
signed client /CN=nic0 authority extendedKeyUsage=clientAuth
signed two-names /CN=nic0/CN=admin authority extendedKeyUsage=clientAuth
signed stranger /CN=nic0 other-authority extendedKeyUsage=clientAuth
openssl pkey -in server-key.pem -aes128 -passout pass:secret -out locked-key.pem
rm authority-key.pem other-authority-key.pem
