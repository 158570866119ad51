package machineapi

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/siderolabs/talos/pkg/machinery/api/machine"
)

// DiskUsage streams the sizes of directories, each after those inside of it, and of files when all are wanted.
func (s *server) DiskUsage(in *machine.DiskUsageRequest, stream machine.MachineService_DiskUsageServer) error {
	for _, name := range in.GetPaths() {
		root := filepath.Clean("/" + name)

		path, ok := s.machine.Path(root)
		if !ok {
			path = root + "\x00" // a name that no file can have
		}

		walk := usageWalk{request: in, root: path, name: root, send: stream.Send}

		info, err := os.Lstat(path)
		if err != nil {
			if err = stream.Send(&machine.DiskUsageInfo{Name: root, RelativeName: root, Error: "lstat " + root + ": no such file or directory"}); err != nil {
				return err
			}

			continue
		}

		if _, err = walk.measure(path, fs.FileInfoToDirEntry(info), 0); err != nil {
			return err
		}
	}

	return nil
}

type usageWalk struct {
	request *machine.DiskUsageRequest
	root    string
	name    string
	send    func(*machine.DiskUsageInfo) error
}

// measure returns the bytes of an entry and all that is inside of it.
func (walk usageWalk) measure(path string, entry fs.DirEntry, depth int32) (int64, error) {
	info, err := entry.Info()
	if err != nil {
		return 0, walk.report(path, 0, depth, true, err)
	}

	size := info.Size()

	if entry.IsDir() {
		entries, err := os.ReadDir(path)
		if err != nil {
			return size, walk.report(path, size, depth, true, err)
		}

		for _, child := range entries {
			inside, err := walk.measure(filepath.Join(path, child.Name()), child, depth+1)
			if err != nil {
				return 0, err
			}

			size += inside
		}
	}

	return size, walk.report(path, size, depth, entry.IsDir(), nil)
}

func (walk usageWalk) report(path string, size int64, depth int32, folder bool, problem error) error {
	limit, threshold := walk.request.GetRecursionDepth(), walk.request.GetThreshold()

	tooDeep := limit > 0 && depth >= limit
	tooSmall := threshold > 0 && size < threshold || threshold < 0 && size > -threshold

	if tooDeep || tooSmall || !folder && !walk.request.GetAll() {
		return nil
	}

	name := filepath.Join(walk.name, strings.TrimPrefix(path, walk.root))
	info := &machine.DiskUsageInfo{Name: name, RelativeName: name, Size: size}

	if problem != nil {
		info.Error = strings.ReplaceAll(problem.Error(), path, name)
	}

	return walk.send(info)
}
