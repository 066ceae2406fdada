#!/bin/sh
# A CA and a serving certificate for trying `seawall serve --tls-cert --tls-key`, in certs/dev/ (ignored by git).
set -eu
umask 077
folder=$(dirname "$0")/dev
service=${1:-seawall}
namespace=${2:-seawall-system}
command -v openssl >/dev/null || {
	echo "certs/dev.sh needs openssl; without it use the certificate that 'seawall serve' makes by itself" >&2
	exit 2
}
mkdir -p "$folder"
cd "$folder"
key() {
	openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1" 2>/dev/null
}
key ca.key
openssl req -x509 -new -key ca.key -days 30 -subj "/CN=seawall development CA" -out ca.pem \
	-addext "basicConstraints=critical,CA:TRUE,pathlen:0" -addext "keyUsage=critical,keyCertSign"
key tls.key
names="DNS:localhost,IP:127.0.0.1,DNS:$service,DNS:$service.$namespace,DNS:$service.$namespace.svc"
printf '%s\n' "subjectAltName=$names" "extendedKeyUsage=serverAuth" "basicConstraints=critical,CA:FALSE" \
	"keyUsage=critical,digitalSignature" >leaf.ext
openssl req -new -key tls.key -subj "/CN=$service.$namespace.svc" |
	openssl x509 -req -CA ca.pem -CAkey ca.key -days 30 -extfile leaf.ext -out tls.pem 2>/dev/null
rm leaf.ext
echo "seawall serve --tls-cert $folder/tls.pem --tls-key $folder/tls.key --tls-ca $folder/ca.pem"
