package power

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"log"
	"net"
	"os"
)

type command struct {
	Do string `json:"do"`
}

type state struct {
	OK      bool   `json:"ok"`
	Error   string `json:"error,omitempty"`
	Stage   string `json:"stage,omitempty"`
	Plugged bool   `json:"plugged"`
	BootID  string `json:"bootId,omitempty"`
	Address string `json:"address,omitempty"`
	// Localhost is where the programs of the machine listen, cable or not
	Localhost string `json:"localhost"`
}

// Control serves the control socket, by which a rehearsal touches the machine's hardware, until ctx ends.
func (m *Machine) Control(ctx context.Context, path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}

	listener, err := net.Listen("unix", path)
	if err != nil {
		return err
	}

	go func() {
		<-ctx.Done()
		listener.Close() //nolint:errcheck
	}()

	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}

			go m.answer(conn)
		}
	}()

	return nil
}

// plug puts the cable in or pulls it out.
func (m *Machine) plug(in bool) {
	log.Printf("cable plugged: %t", in)

	if in {
		m.cable.Plug()
	} else {
		m.cable.Pull()
	}

	if b := m.current(); b != nil {
		if service := m.Etcd(); service != nil {
			service.Isolate(!in)
		}

		m.notify()
	}
}

func (m *Machine) answer(conn net.Conn) {
	defer conn.Close() //nolint:errcheck

	var (
		wish  command
		reply = state{OK: true}
	)

	line, err := bufio.NewReader(conn).ReadBytes('\n')
	if len(line) > 0 {
		err = json.Unmarshal(line, &wish)
	}

	switch {
	case err != nil:
		reply = state{Error: err.Error()}
	case wish.Do == "unplug":
		m.plug(false)
	case wish.Do == "plug":
		m.plug(true)
	case wish.Do == "go-bad":
		log.Print("cable: bad")
		m.cable.GoBad()
	case wish.Do != "status":
		reply = state{Error: "unknown command: " + wish.Do}
	}

	reply.Plugged = !m.cable.Pulled()
	reply.Address = m.file.Address
	reply.Localhost = m.cable.Localhost()

	if b := m.current(); b != nil {
		reply.Stage, reply.BootID = b.getStage(), b.id
	}

	if err = json.NewEncoder(conn).Encode(reply); err != nil {
		log.Printf("control: %v", err)
	}
}
