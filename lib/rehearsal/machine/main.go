// Practice-machine simulates one Talos machine, from power-on until power-off.
//
// Its API is what talosctl expects; etcd and the Kubernetes control plane are the real programs.
package main

import (
	"context"
	"flag"
	"log"
	"os"
	"os/signal"
	"syscall"

	"talos-migrate.invalid/machine/internal/machinefile"
	"talos-migrate.invalid/machine/internal/power"
)

func main() {
	path := flag.String("machine", "", "the JSON file that describes the machine")
	flag.Parse()
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
