package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

const segmentEnding = ".jsonl"

// limits are the limits of events on disk.
type limits struct {
	segmentBytes int64
	segmentAge   time.Duration // age at which a new segment begins
	totalBytes   int64
	totalAge     time.Duration // age at which a segment is deleted, whatever its size
}

var defaultLimits = limits{
	segmentBytes: 16 << 20, segmentAge: time.Hour, totalBytes: 512 << 20, totalAge: 7 * 24 * time.Hour,
}

// segments is a directory of event files. This process appends to the one that it created. The directory is created
// with the first event, and again if it was deleted. Names are 20 digits (microseconds, always larger than all others),
// so that they sort by age whatever the clock does.
type segments struct {
	dir     string
	limits  limits
	removed func()

	file  *os.File
	size  int64
	since time.Time
}

// append writes whole lines or nothing: a partial write on a full disk is truncated.
func (s *segments) append(lines []byte) error {
	if err := s.room(len(lines)); err != nil {
		return err
	}
	if _, err := s.file.Write(lines); err != nil {
		if s.file.Truncate(s.size) != nil {
			s.close() // the torn line remains the last one of its file
		}
		return err
	}
	s.size += int64(len(lines))
	return nil
}

// room begins the next segment if the current one is full or old, and then deletes excess ones.
func (s *segments) room(bytes int) error {
	if s.file != nil && (s.size+int64(bytes) > s.limits.segmentBytes && s.size > 0 || time.Since(s.since) > s.limits.segmentAge) {
		s.close()
	}
	if s.file != nil {
		return nil
	}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return err
	}
	names, err := s.tidy()
	if err != nil {
		return err
	}
	return s.begin(names)
}

func (s *segments) begin(names []string) error {
	number := time.Now().UnixMicro()
	if len(names) > 0 {
		last, _ := strconv.ParseInt(strings.TrimSuffix(names[len(names)-1], segmentEnding), 10, 64)
		number = max(number, last+1)
	}
	for ; ; number++ { // another agent may create one at the same time
		path := filepath.Join(s.dir, fmt.Sprintf("%020d%s", number, segmentEnding))
		file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE|os.O_EXCL, 0o600)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err == nil {
			s.file, s.size, s.since = file, 0, time.Now()
		}
		return err
	}
}

// tidy deletes the oldest segments until size and age, with one more full segment, are within limits. Returns the rest.
func (s *segments) tidy() ([]string, error) {
	names, err := s.list()
	if err != nil {
		return nil, err
	}
	sizes, total := make([]int64, len(names)), s.limits.segmentBytes
	old := make([]bool, len(names))
	for at, name := range names {
		if info, err := os.Stat(filepath.Join(s.dir, name)); err == nil {
			sizes[at], old[at] = info.Size(), time.Since(info.ModTime()) > s.limits.totalAge
		}
		total += sizes[at]
	}
	gone := 0
	for gone < len(names) && (old[gone] || total > s.limits.totalBytes) {
		if err := os.Remove(filepath.Join(s.dir, names[gone])); err != nil && !errors.Is(err, fs.ErrNotExist) {
			break
		}
		total -= sizes[gone]
		gone++
		s.removed()
	}
	return names[gone:], nil
}

// list returns the segments' names, oldest first.
func (s *segments) list() ([]string, error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, entry := range entries {
		if name := entry.Name(); len(name) == 20+len(segmentEnding) && strings.HasSuffix(name, segmentEnding) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

func (s *segments) close() {
	if s.file != nil {
		_ = s.file.Close()
		s.file = nil
	}
}
