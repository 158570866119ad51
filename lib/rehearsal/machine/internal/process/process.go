// Package process runs the real programs of a machine as children that cannot outlive it.
package process

import (
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// Command describes a child.
type Command struct {
	Name    string
	Path    string
	Args    []string
	Env     []string
	LogFile string // appended to
}

// Process is a started child.
type Process struct {
	name string
	cmd  *exec.Cmd
	done chan struct{}
	err  error
}

// forks hands work to one goroutine that keeps its thread for good: the kernel sends the parent death signal
// when the thread that forked ends, not when the process does.
var forks = func() chan<- func() {
	work := make(chan func())

	go func() {
		runtime.LockOSThread()

		for job := range work {
			job()
		}
	}()

	return work
}()

// Start starts a child in the machine's own process group; it is killed when the machine dies.
func Start(command Command) (*Process, error) {
	if err := os.MkdirAll(filepath.Dir(command.LogFile), 0o700); err != nil {
		return nil, err
	}

	output, err := os.OpenFile(command.LogFile, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}

	defer output.Close() //nolint:errcheck

	cmd := exec.Command(command.Path, command.Args...)
	cmd.Stdout = output
	cmd.Stderr = output
	cmd.Env = append(environment(), command.Env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}

	started := make(chan error)
	forks <- func() { started <- cmd.Start() }

	if err = <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", command.Name, err)
	}

	process := &Process{name: command.Name, cmd: cmd, done: make(chan struct{})}

	go func() {
		process.err = cmd.Wait()
		log.Printf("%s (pid %d) ended: %v", command.Name, cmd.Process.Pid, cmd.ProcessState)
		close(process.done)
	}()

	log.Printf("%s started, pid %d", command.Name, cmd.Process.Pid)

	return process, nil
}

// environment leaves out what would reach into the children: settings of etcd, proxies, and the operator's secrets.
func environment() []string {
	kept := []string{}

	for _, name := range []string{"PATH", "HOME", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR"} {
		if value, set := os.LookupEnv(name); set {
			kept = append(kept, name+"="+value)
		}
	}

	return kept
}

// Run runs a child to its end.
func Run(command Command) error {
	process, err := Start(command)
	if err != nil {
		return err
	}

	<-process.done

	return process.err
}

// Done is closed when the child has ended.
func (process *Process) Done() <-chan struct{} { return process.done }

// Err is how the child ended; only to be read after Done.
func (process *Process) Err() error { return process.err }

// Pid is the process ID of the child.
func (process *Process) Pid() int { return process.cmd.Process.Pid }

// Freeze halts the child until Thaw.
func (process *Process) Freeze() { _ = process.cmd.Process.Signal(syscall.SIGSTOP) }

// Thaw lets a frozen child go on.
func (process *Process) Thaw() { _ = process.cmd.Process.Signal(syscall.SIGCONT) }

// Stop asks the child to end, and kills it after grace. It returns when the child has ended.
func (process *Process) Stop(grace time.Duration) {
	_ = process.cmd.Process.Signal(syscall.SIGTERM)
	process.Thaw() // a frozen child would not take the signal

	select {
	case <-process.done:
		return
	case <-time.After(grace):
		log.Printf("%s did not end within %s: killed", process.name, grace)
	}

	_ = process.cmd.Process.Kill()

	<-process.done
}
