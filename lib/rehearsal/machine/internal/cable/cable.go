// Package cable joins a machine's own localhost to its address on the network, and can be pulled.
//
// What runs on the machine listens on a loopback address of its own, as on real hardware it would on 127.0.0.1.
// The cable listens on the machine's network address and passes connections on, so that pulling it leaves the
// programs running while nothing of the machine answers, and the address is free for another machine.
package cable

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	retryInterval = 100 * time.Millisecond
	badDelay      = 250 * time.Millisecond
)

// Localhost derives the machine's own loopback address, which no other machine shares.
func Localhost(seed string) string {
	sum := sha256.Sum256([]byte(seed + strconv.Itoa(os.Getpid())))

	return fmt.Sprintf("127.%d.%d.%d", 128+sum[0]%127, sum[1], 1+sum[2]%254)
}

// Cable is one machine's network link.
type Cable struct {
	address   string
	localhost string

	mu     sync.Mutex
	pulled bool
	ports  map[int]*port
	bad    atomic.Bool
}

type port struct {
	cancel context.CancelFunc
	done   chan struct{}
}

// New returns a plugged cable with no open port.
func New(address, localhost string) *Cable {
	return &Cable{address: address, localhost: localhost, ports: map[int]*port{}}
}

// Localhost is the machine's own loopback address.
func (cable *Cable) Localhost() string { return cable.localhost }

// OnMachine rewrites what a machine config says of addresses to listen on: every machine has all addresses for itself,
// while practice machines share one computer.
func (cable *Cable) OnMachine(value string) string {
	return strings.NewReplacer("0.0.0.0", cable.localhost, "127.0.0.1", cable.localhost, "[::]", cable.localhost).Replace(value)
}

// Open makes a port of the machine's localhost reachable under the network address.
// While another machine holds the address, it keeps trying.
func (cable *Cable) Open(number int) {
	cable.mu.Lock()
	defer cable.mu.Unlock()

	if _, open := cable.ports[number]; open {
		return
	}

	cable.ports[number] = &port{}

	if !cable.pulled {
		cable.connect(number)
	}
}

// Close makes a port unreachable and cuts its connections.
func (cable *Cable) Close(number int) {
	cable.mu.Lock()
	defer cable.mu.Unlock()

	if one, open := cable.ports[number]; open {
		one.disconnect()
		delete(cable.ports, number)
	}
}

// CloseAll closes every port.
func (cable *Cable) CloseAll() {
	cable.mu.Lock()
	defer cable.mu.Unlock()

	for number, one := range cable.ports {
		one.disconnect()
		delete(cable.ports, number)
	}
}

// Pull cuts the machine off the network.
func (cable *Cable) Pull() {
	cable.mu.Lock()
	defer cable.mu.Unlock()

	cable.pulled = true

	for _, one := range cable.ports {
		one.disconnect()
	}
}

// GoBad lets the cable hold up each piece of what it carries, until Plug puts in a good one.
func (cable *Cable) GoBad() { cable.bad.Store(true) }

// Plug joins the machine to the network again, by a good cable.
func (cable *Cable) Plug() {
	cable.bad.Store(false)

	cable.mu.Lock()
	defer cable.mu.Unlock()

	if !cable.pulled {
		return
	}

	cable.pulled = false

	for number := range cable.ports {
		cable.connect(number)
	}
}

// Pulled tells whether the machine is cut off.
func (cable *Cable) Pulled() bool {
	cable.mu.Lock()
	defer cable.mu.Unlock()

	return cable.pulled
}

func (one *port) disconnect() {
	if one.cancel == nil {
		return
	}

	one.cancel()
	<-one.done
	one.cancel = nil
}

// connect must be called with the lock held. It returns once the port answers or the address has been found taken.
func (cable *Cable) connect(number int) {
	ctx, cancel := context.WithCancel(context.Background())
	one := cable.ports[number]
	one.cancel, one.done = cancel, make(chan struct{})
	tried := make(chan struct{})

	go func() {
		defer close(one.done)

		listener := cable.listen(ctx, number, tried)
		if listener != nil {
			cable.serve(ctx, listener, number)
		}
	}()

	<-tried
}

func (cable *Cable) listen(ctx context.Context, number int, tried chan<- struct{}) net.Listener {
	first := true

	for {
		listener, err := net.Listen("tcp4", net.JoinHostPort(cable.address, strconv.Itoa(number)))

		if first {
			if err != nil {
				log.Printf("cable: %v; still trying", err)
			}

			close(tried)

			first = false
		}

		if err == nil {
			return listener
		}

		select {
		case <-ctx.Done():
			return nil
		case <-time.After(retryInterval):
		}
	}
}

func (cable *Cable) serve(ctx context.Context, listener net.Listener, number int) {
	var connections sync.WaitGroup
	defer connections.Wait()

	stop := context.AfterFunc(ctx, func() { listener.Close() }) //nolint:errcheck
	defer stop()

	for {
		outer, err := listener.Accept()
		if err != nil {
			if ctx.Err() == nil && !errors.Is(err, net.ErrClosed) {
				log.Printf("cable: %v", err)

				continue
			}

			return
		}

		connections.Add(1)

		go func() {
			defer connections.Done()

			cable.carry(ctx, outer.(*net.TCPConn), number)
		}()
	}
}

func (cable *Cable) carry(ctx context.Context, outer *net.TCPConn, number int) {
	defer outer.Close() //nolint:errcheck

	conn, err := new(net.Dialer).DialContext(ctx, "tcp4", net.JoinHostPort(cable.localhost, strconv.Itoa(number)))
	if err != nil {
		// the port is open on the network only while something listens behind it, so this is a program that just ended
		_ = outer.SetLinger(0)

		return
	}

	inner := conn.(*net.TCPConn)
	defer inner.Close() //nolint:errcheck

	stop := context.AfterFunc(ctx, func() {
		_ = outer.SetLinger(0)
		outer.Close() //nolint:errcheck
		inner.Close() //nolint:errcheck
	})
	defer stop()

	var both sync.WaitGroup

	both.Add(2)

	pipe := func(to, from *net.TCPConn) {
		defer both.Done()

		if _, err := io.Copy(wire{to, cable}, from); err != nil {
			outer.Close() //nolint:errcheck
			inner.Close() //nolint:errcheck

			return
		}

		_ = to.CloseWrite()
	}

	go pipe(inner, outer)
	go pipe(outer, inner)
	both.Wait()
}

// wire is one direction of a connection.
type wire struct {
	io.Writer
	cable *Cable
}

func (end wire) Write(piece []byte) (int, error) {
	if end.cable.bad.Load() {
		time.Sleep(badDelay)
	}

	return end.Writer.Write(piece)
}
