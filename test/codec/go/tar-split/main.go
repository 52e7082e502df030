// The Go tar-split library as an oracle: "disassemble TAR" prints a tar-split, "assemble SPLIT DIR" a tar.
package main

import (
	"io"
	"os"

	"github.com/vbatts/tar-split/tar/asm"
	"github.com/vbatts/tar-split/tar/storage"
)

func check(err error) {
	if err != nil {
		os.Stderr.WriteString(err.Error() + "\n")
		os.Exit(1)
	}
}

func main() {
	file, err := os.Open(os.Args[2])
	check(err)
	if os.Args[1] == "disassemble" {
		stream, err := asm.NewInputTarStream(file, storage.NewJSONPacker(os.Stdout), storage.NewDiscardFilePutter())
		check(err)
		_, err = io.Copy(io.Discard, stream)
		check(err)
		return
	}
	getter := storage.NewPathFileGetter(os.Args[3])
	check(asm.WriteOutputTarStream(getter, storage.NewJSONUnpacker(file), os.Stdout))
}
