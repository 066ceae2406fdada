// newkey writes fresh keys for tests into a folder, in every form that openssl writes too: rsa (PKCS #8), rsa1 (PKCS #1),
// ec (PKCS #8) and ec1 (SEC 1), each with its public half in NAME.pub.
package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"log"
	"os"
	"path/filepath"
)

func main() {
	folder := os.Args[1]
	write := func(name, label string, der []byte, err error) {
		if err == nil {
			block := pem.EncodeToMemory(&pem.Block{Type: label, Bytes: der})
			err = os.WriteFile(filepath.Join(folder, name), block, 0o600)
		}
		if err != nil {
			log.Fatal(err)
		}
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		log.Fatal(err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		log.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(rsaKey)
	write("rsa", "PRIVATE KEY", der, err)
	write("rsa1", "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey), nil)
	der, err = x509.MarshalPKIXPublicKey(&rsaKey.PublicKey)
	write("rsa.pub", "PUBLIC KEY", der, err)
	write("rsa1.pub", "RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&rsaKey.PublicKey), nil)
	der, err = x509.MarshalPKCS8PrivateKey(ecKey)
	write("ec", "PRIVATE KEY", der, err)
	der, err = x509.MarshalECPrivateKey(ecKey)
	write("ec1", "EC PRIVATE KEY", der, err)
	der, err = x509.MarshalPKIXPublicKey(&ecKey.PublicKey)
	write("ec.pub", "PUBLIC KEY", der, err)
	write("ec1.pub", "PUBLIC KEY", der, err)
}
