// Go's archive/tar as an oracle: "read FILE..." prints one JSON document per archive, "write FORMAT" writes one.
package main

import (
	"archive/tar"
	"bufio"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

type entry struct {
	Flag    int               `json:"flag"`
	Name    []byte            `json:"name"`
	Link    []byte            `json:"link"`
	User    []byte            `json:"user"`
	Group   []byte            `json:"group"`
	Size    int64             `json:"size"`
	Mode    int64             `json:"mode"`
	Uid     int               `json:"uid"`
	Gid     int               `json:"gid"`
	Seconds int64             `json:"seconds"`
	Nanos   int               `json:"nanos"`
	Major   int64             `json:"major"`
	Minor   int64             `json:"minor"`
	Xattrs  map[string][]byte `json:"xattrs"`
	Sha256  string            `json:"sha256"`
}

type archive struct {
	Entries []entry `json:"entries"`
	Error   string  `json:"error"`
}

const hashLimit = 1 << 20

func read(path string) (result archive) {
	file, err := os.Open(path)
	if err != nil {
		panic(err)
	}
	defer file.Close()
	// Without Seek, as from a network.
	reader := tar.NewReader(struct{ io.Reader }{bufio.NewReader(file)})
	result.Entries = []entry{}
	for {
		h, err := reader.Next()
		if err == io.EOF {
			return result
		}
		if err != nil {
			result.Error = err.Error()
			return result
		}
		xattrs := map[string][]byte{}
		for key, value := range h.Xattrs {
			xattrs[base64.StdEncoding.EncodeToString([]byte(key))] = []byte(value)
		}
		sum := ""
		if h.Size <= hashLimit {
			hash := sha256.New()
			if _, err := io.Copy(hash, reader); err != nil {
				result.Error = err.Error()
				return result
			}
			sum = hex.EncodeToString(hash.Sum(nil))
		}
		result.Entries = append(result.Entries, entry{
			int(h.Typeflag), []byte(h.Name), []byte(h.Linkname), []byte(h.Uname), []byte(h.Gname), h.Size,
			h.Mode & 07777, h.Uid, h.Gid, h.ModTime.Unix(), h.ModTime.Nanosecond(), h.Devmajor, h.Devminor, xattrs, sum,
		})
	}
}

func write(format tar.Format) {
	writer := tar.NewWriter(os.Stdout)
	add := func(h tar.Header, content string) {
		h.Format = format
		h.Size = int64(len(content))
		if h.Mode == 0 {
			h.Mode = 0644
		}
		h.ModTime = time.Unix(1700000000, 0)
		if format == tar.FormatPAX {
			h.ModTime = time.Unix(1700000000, 123456789)
			h.Xattrs = map[string]string{"user.a": "\x00\xff"}
		}
		if err := writer.WriteHeader(&h); err != nil {
			panic(err)
		}
		io.WriteString(writer, content)
	}
	long := strings.Repeat("directory/", 12)
	add(tar.Header{Typeflag: tar.TypeDir, Name: "directory/", Mode: 01777}, "")
	add(tar.Header{Typeflag: tar.TypeReg, Name: "file", Uid: 1000, Gid: 100, Uname: "user", Gname: "users"}, "content")
	add(tar.Header{Typeflag: tar.TypeReg, Name: long + "file", Uid: 1}, strings.Repeat("x", 1500))
	add(tar.Header{Typeflag: tar.TypeSymlink, Name: "symlink", Linkname: "file"}, "")
	add(tar.Header{Typeflag: tar.TypeLink, Name: "hardlink", Linkname: "file"}, "")
	add(tar.Header{Typeflag: tar.TypeChar, Name: "null", Devmajor: 1, Devminor: 3}, "")
	add(tar.Header{Typeflag: tar.TypeBlock, Name: "loop", Devmajor: 7, Devminor: 300}, "")
	add(tar.Header{Typeflag: tar.TypeFifo, Name: "fifo"}, "")
	if format != tar.FormatUSTAR {
		add(tar.Header{Typeflag: tar.TypeReg, Name: "größe/" + strings.Repeat("日本", 40), Uid: 1 << 33}, "utf8")
		add(tar.Header{Typeflag: tar.TypeSymlink, Name: "s2", Linkname: strings.Repeat("../", 90)}, "")
	}
	if err := writer.Close(); err != nil {
		panic(err)
	}
}

func main() {
	if os.Args[1] == "write" {
		write(map[string]tar.Format{"ustar": tar.FormatUSTAR, "pax": tar.FormatPAX, "gnu": tar.FormatGNU}[os.Args[2]])
		return
	}
	for _, path := range os.Args[2:] {
		line, err := json.Marshal(read(path))
		if err != nil {
			panic(err)
		}
		fmt.Println(string(line))
	}
}
