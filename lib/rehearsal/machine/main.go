// Practice-machine simulates one Talos machine, from power-on until power-off.
//
// Its API is what talosctl expects; etcd and the Kubernetes control plane are the real programs.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"syscall"

	"talos-migrate.invalid/machine/internal/machinefile"
	"talos-migrate.invalid/machine/internal/power"
)

// version is a hash of the sources, set when the program is linked.
var version = "dev"

func main() {
	path := flag.String("machine", "", "the JSON file that describes the machine")
	tell := flag.Bool("version", false, "print the version and exit")
	flag.Parse()

	if *tell {
		fmt.Println("practice-machine", version)
		return
	}

	log.SetFlags(log.Ltime | log.Lmicroseconds)

	if *path == "" || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}

	if err := run(*path); err != nil {
		log.Printf("practice-machine: %v", err)
		os.Exit(1)
	}
}

func run(path string) error {
	file, err := machinefile.Read(path)
	if err != nil {
		return err
	}

	log.SetPrefix(file.Name + " ")

	go dieWithOwner()

	pressed, release := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer release()

	on, off := context.WithCancel(context.Background())
	defer off()

	machine := power.New(file)

	if file.Control != "" {
		if err = machine.Control(on, file.Control); err != nil {
			return err
		}
	}

	return machine.Run(pressed)
}

// dieWithOwner cuts the power when whoever started the machine is gone: then its end of the pipe on standard input is closed.
// A terminal or /dev/null there means that nobody watches over it.
func dieWithOwner() {
	info, err := os.Stdin.Stat()
	if err != nil || info.Mode()&os.ModeNamedPipe == 0 && info.Mode()&os.ModeSocket == 0 {
		return
	}

	_, _ = io.Copy(io.Discard, os.Stdin) // any end of the pipe is the end of its owner

	_ = syscall.Kill(-syscall.Getpgrp(), syscall.SIGKILL)
}
