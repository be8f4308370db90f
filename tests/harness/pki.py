"""A deployment's private CA and the certificates of its daemons, by the openssl program."""
import pathlib
import subprocess


def _openssl(*words):
    subprocess.run(["openssl", *[str(word) for word in words]], check=True, capture_output=True)


class Pki:
    def __init__(self, root):
        self.root = pathlib.Path(root)
        self.root.mkdir(parents=True, exist_ok=True)
        self.ca = self.root / "ca.pem"
        _openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", self.root / "ca.key",
                 "-out", self.ca, "-days", "30", "-subj", "/O=Usher/CN=Usher test CA",
                 "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign")

    def issue(self, name, rsa=False):
        """NAME.pem and NAME.key for localhost, good for both ends of TLS."""
        key, request, certificate = (self.root / f"{name}{end}" for end in (".key", ".csr", ".pem"))
        kind = ("rsa:2048",) if rsa else ("ec", "-pkeyopt", "ec_paramgen_curve:P-256")
        _openssl("req", "-newkey", *kind, "-nodes", "-keyout", key, "-out", request, "-subj", f"/O=Usher/CN={name}")
        extensions = self.root / f"{name}.ext"
        extensions.write_text("basicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth,clientAuth\n"
                              f"subjectAltName=DNS:{name},DNS:localhost,IP:127.0.0.1\n")
        _openssl("x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", self.root / "ca.key", "-CAcreateserial",
                 "-days", "30", "-extfile", extensions, "-out", certificate)
        request.unlink()
        extensions.unlink()
        return certificate, key
