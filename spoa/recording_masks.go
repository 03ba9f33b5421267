package main

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash/maphash"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
)

// clientKeyFile holds the key under which a client's address is recorded, so that the panel finds what is to be deleted.
const clientKeyFile = "record.key"

// masks replace values by others of the same shape: equal ones by equal ones, as long as the process runs.
type masks struct {
	dir  string
	hash func(text string) uint64 // decides what replaces a text; its seed is secret
	key  []byte
}

func newMasks(dir string) *masks {
	seed := maphash.MakeSeed()
	return &masks{dir: dir, hash: func(text string) uint64 { return maphash.String(seed, text) }}
}

// ready reads the key, or makes it. Without one nothing is recorded: it could not be found by its client's address.
func (m *masks) ready() error {
	if m.key != nil {
		return nil
	}
	path := filepath.Join(m.dir, clientKeyFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		text, err = makeKey(m.dir, path)
	}
	if err != nil {
		return err
	}
	key, err := hex.DecodeString(string(text))
	if err != nil || len(key) != sha256.Size {
		return errors.New(path + " is not a key")
	}
	m.key = key
	return nil
}

// makeKey puts a whole file in place, or finds that another agent was first.
func makeKey(dir, path string) ([]byte, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	key := make([]byte, sha256.Size)
	_, _ = rand.Read(key) // never fails
	file, err := os.CreateTemp(dir, clientKeyFile)
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.Remove(file.Name()) }()
	_, err = file.WriteString(hex.EncodeToString(key))
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return nil, err
	}
	if err := os.Link(file.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return os.ReadFile(path)
}

// clientKey stands for an address (an IPv6 client's whole /64), and cannot be turned back without the key.
func (m *masks) clientKey(address netip.Addr) string {
	sum := hmac.New(sha256.New, m.key)
	sum.Write([]byte(clientOf(address).String()))
	return hex.EncodeToString(sum.Sum(nil)[:16])
}
