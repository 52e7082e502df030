"""Python's tarfile as an oracle: prints the same JSON as go/tar/main.go."""
import base64, hashlib, json, sys, tarfile

def encoded(text):
    return base64.b64encode(text.encode("utf-8", "surrogateescape")).decode()

for path in sys.argv[1:]:
    entries, error = [], ""
    try:
        with tarfile.open(path, "r:") as archive:
            for m in archive:
                content = archive.extractfile(m).read() if m.isreg() else b""
                seconds = m.mtime // 1
                entries.append(dict(
                    flag=m.type[0], name=encoded(m.name), link=encoded(m.linkname), user=encoded(m.uname),
                    group=encoded(m.gname), size=m.size, mode=m.mode & 0o7777, uid=m.uid, gid=m.gid,
                    seconds=int(seconds), nanos=0, major=m.devmajor, minor=m.devminor, xattrs={},
                    sha256=hashlib.sha256(content).hexdigest()))
    except tarfile.TarError as caught:
        error = str(caught)
    print(json.dumps(dict(entries=entries, error=error)))
