package machineapi

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/siderolabs/talos/pkg/machinery/api/common"
	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"talos-migrate.invalid/machine/internal/controlplane"
)

const bootIDPath = "/proc/sys/kernel/random/boot_id"

// Kubeconfig streams an administrator's kubeconfig in a tar.gz.
func (s *server) Kubeconfig(_ *emptypb.Empty, stream machine.MachineService_KubeconfigServer) error {
	if err := s.controlPlaneOnly("kubeconfig"); err != nil {
		return err
	}

	content, err := controlplane.AdminKubeconfig(s.machine.Config())
	if err != nil {
		return err
	}

	var packed bytes.Buffer

	compressor := gzip.NewWriter(&packed)
	archive := tar.NewWriter(compressor)

	if err = archive.WriteHeader(&tar.Header{
		Typeflag: tar.TypeReg, Name: "kubeconfig", Size: int64(len(content)), ModTime: time.Now(), Mode: 0o600,
	}); err != nil {
		return err
	}

	if _, err = archive.Write(content); err != nil {
		return err
	}

	if err = errors.Join(archive.Close(), compressor.Close()); err != nil {
		return err
	}

	return stream.Send(&common.Data{Bytes: packed.Bytes()})
}

// Read streams a file.
func (s *server) Read(in *machine.ReadRequest, stream machine.MachineService_ReadServer) error {
	if filepath.Clean(in.GetPath()) == bootIDPath {
		return stream.Send(&common.Data{Bytes: []byte(s.machine.BootID() + "\n")})
	}

	path, ok := s.machine.Path(in.GetPath())
	if !ok {
		return status.Errorf(codes.NotFound, "stat %s: no such file or directory", in.GetPath())
	}

	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return status.Errorf(codes.NotFound, "stat %s: no such file or directory", in.GetPath())
	}

	if err != nil {
		return err
	}

	if !info.Mode().IsRegular() {
		return errors.New("path must be a regular file")
	}

	file, err := os.Open(path)
	if err != nil {
		return err
	}

	defer file.Close() //nolint:errcheck

	return sendChunks(file, stream.Send)
}

// Copy streams a file or a directory as a tar.gz.
func (s *server) Copy(in *machine.CopyRequest, stream machine.MachineService_CopyServer) error {
	wanted := filepath.Clean(in.GetRootPath())
	if !filepath.IsAbs(wanted) {
		return fmt.Errorf("path is not absolute %v", wanted)
	}

	path, ok := s.machine.Path(wanted)
	if !ok {
		return stream.Send(&common.Data{Metadata: &common.Metadata{Error: "lstat " + wanted + ": no such file or directory"}})
	}

	reader, writer := io.Pipe()
	failed := make(chan error, 1)

	go func() {
		err := pack(path, writer)
		writer.Close() //nolint:errcheck

		failed <- err
	}()

	if err := sendChunks(reader, stream.Send); err != nil {
		reader.CloseWithError(err) //nolint:errcheck

		return err
	}

	if err := <-failed; err != nil {
		return stream.Send(&common.Data{Metadata: &common.Metadata{Error: strings.ReplaceAll(err.Error(), path, wanted)}})
	}

	return nil
}

func pack(root string, to io.Writer) error {
	compressor := gzip.NewWriter(to)
	archive := tar.NewWriter(compressor)

	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}

		// A directory stands for what is in it: talosctl has made the one that it copies into.
		if path == root && entry.IsDir() {
			return nil
		}

		return packOne(archive, root, path, entry)
	})

	return errors.Join(err, archive.Close(), compressor.Close())
}

func packOne(archive *tar.Writer, root, path string, entry fs.DirEntry) error {
	info, err := entry.Info()
	if err != nil {
		return err
	}

	link := ""
	if info.Mode()&fs.ModeSymlink != 0 {
		if link, err = os.Readlink(path); err != nil {
			return err
		}
	}

	header, err := tar.FileInfoHeader(info, link)
	if err != nil {
		return nil // a socket, which an archive cannot hold
	}

	header.Name, err = filepath.Rel(root, path)
	if err != nil {
		return err
	}

	if header.Name == "." {
		header.Name = filepath.Base(path)
	}

	if err = archive.WriteHeader(header); err != nil || !info.Mode().IsRegular() {
		return err
	}

	file, err := os.Open(path)
	if err != nil {
		return err
	}

	defer file.Close() //nolint:errcheck

	_, err = io.CopyN(archive, file, header.Size)

	return err
}

// List streams the entries of a directory.
func (s *server) List(in *machine.ListRequest, stream machine.MachineService_ListServer) error {
	root := filepath.Clean("/" + in.GetRoot())

	path, ok := s.machine.Path(root)
	if !ok {
		return fmt.Errorf("lstat %s: no such file or directory", root)
	}

	if _, err := os.Lstat(path); err != nil {
		return fmt.Errorf("lstat %s: no such file or directory", root)
	}

	depth := 1
	if in.GetRecurse() {
		depth = int(in.GetRecursionDepth())
	}

	return filepath.WalkDir(path, func(found string, entry fs.DirEntry, err error) error {
		relative, relErr := filepath.Rel(path, found)
		if relErr != nil {
			return relErr
		}

		if depth > 0 && relative != "." && strings.Count(relative, "/") >= depth {
			return fs.SkipDir
		}

		info := &machine.FileInfo{Name: filepath.Join(root, relative), RelativeName: relative}
		if err == nil {
			err = describe(info, found, entry)
		}

		if err != nil {
			info.Error = strings.ReplaceAll(err.Error(), found, info.GetName())
		}

		if !wanted(in.GetTypes(), info, entry) {
			return nil
		}

		return stream.Send(info)
	})
}

func describe(to *machine.FileInfo, path string, entry fs.DirEntry) error {
	info, err := entry.Info()
	if err != nil {
		return err
	}

	to.Size, to.Mode, to.Modified, to.IsDir = info.Size(), uint32(info.Mode()), info.ModTime().Unix(), info.IsDir()

	if owner, ok := info.Sys().(*syscall.Stat_t); ok {
		to.Uid, to.Gid = owner.Uid, owner.Gid
	}

	if info.Mode()&fs.ModeSymlink != 0 {
		to.Link, err = os.Readlink(path)
	}

	return err
}

func wanted(types []machine.ListRequest_Type, info *machine.FileInfo, entry fs.DirEntry) bool {
	if len(types) == 0 || entry == nil {
		return true
	}

	for _, kind := range types {
		switch {
		case kind == machine.ListRequest_REGULAR && entry.Type().IsRegular(),
			kind == machine.ListRequest_DIRECTORY && info.GetIsDir(),
			kind == machine.ListRequest_SYMLINK && entry.Type()&fs.ModeSymlink != 0:
			return true
		}
	}

	return false
}
