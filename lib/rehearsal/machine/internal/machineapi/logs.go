package machineapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/siderolabs/talos/pkg/machinery/api/machine"
)

const followInterval = 200 * time.Millisecond

// Logs streams the log of a service that is a real program here; the others keep none.
func (s *server) Logs(in *machine.LogsRequest, stream machine.MachineService_LogsServer) error {
	path, ok := s.machine.Path("/var/log/" + filepath.Base(in.GetId()) + ".log")
	if !ok {
		return fmt.Errorf("log %q was not registered", in.GetId())
	}

	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("log %q was not registered", in.GetId())
	}

	if err != nil {
		return err
	}

	defer file.Close() //nolint:errcheck

	if in.GetTailLines() >= 0 {
		if err = seekTail(file, int(in.GetTailLines())); err != nil {
			return err
		}
	}

	for {
		if err = sendChunks(file, stream.Send); err != nil || !in.GetFollow() {
			return err
		}

		if !wait(stream.Context(), followInterval) {
			return nil
		}
	}
}

// seekTail moves to the beginning of the last lines.
func seekTail(file *os.File, lines int) error {
	content, err := io.ReadAll(file)
	if err != nil {
		return err
	}

	position := len(content)

	for position > 0 && lines >= 0 {
		if position = bytes.LastIndexByte(content[:position], '\n'); position < 0 {
			break
		}

		lines--
	}

	_, err = file.Seek(int64(position+1), io.SeekStart)

	return err
}

func wait(ctx context.Context, duration time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(duration):
		return true
	}
}
