package main

import (
	"errors"
	"strconv"

	"github.com/corazawaf/coraza/v3/experimental/plugins/plugintypes"
)

// readMultipart fills the collections like Coraza's own processor, which is Go's, and more where parsers differ:
// whatever any of them might take for a field is given to the rules, and a body on whose part boundaries they disagree
// is invalid (REQBODY_ERROR and MULTIPART_STRICT_ERROR: the recommended rules 200002 and 200003). It writes no file.
func readMultipart(body string, v plugintypes.TransactionVariables, options plugintypes.BodyProcessorOptions) error {
	form := &multipartForm{variables: v, options: options}
	form.isCut = v.InboundDataError().Get() == "1" || len(v.TX().Get(partialBody)) > 0
	if boundary := form.boundaryOf(options.Mime); boundary != "" {
		for part := range form.parts(body, "--"+boundary) {
			if form.count++; form.count > options.ArgumentLimit {
				set(v.ArgumentsLimitReached(), "1")
				break
			}
			form.read(part)
		}
	}
	set(v.FilesCombinedSize(), strconv.Itoa(form.size))
	return form.fault
}

// multipartForm is the state of parsing a body.
type multipartForm struct {
	variables plugintypes.TransactionVariables
	options   plugintypes.BodyProcessorOptions
	charset   string // of the request's content type
	lineEnd   string // CRLF, or LF if the first boundary's line ends with it
	isCut     bool   // truncated: its end cannot be judged
	count     int    // of parts
	fields    int
	size      int // bytes of all parts
	fault     error
}

// blame records the first fault, and marks the body as one that must not pass.
func (f *multipartForm) blame(words string) {
	if f.fault == nil {
		f.fault = errors.New("multipart: " + words)
		set(f.variables.MultipartStrictError(), "1")
	}
}

// read adds a part, its headers and content, to the collections.
func (f *multipartForm) read(part string) {
	head, value := f.divided(part)
	header := f.header(head)
	if header.duplicate {
		set(f.variables.MultipartDuplicatePartHeader(), "1")
		f.blame("duplicate header or parameter in a part")
	}
	name := header.disposition.name()
	for _, line := range header.lines {
		f.variables.MultipartPartHeaders().Add(ownName(name), line)
	}
	f.variables.MultipartName().Add(name, name)
	f.size += len(value)
	if header.mayBeFile() {
		f.addFile(header.disposition, len(value))
	}
	f.readDocument(value, header)
	if !header.mayBeField() {
		return
	}
	for _, name := range header.disposition.names() {
		for _, decoded := range f.decoded(value, header) {
			f.addField(name, decoded)
		}
	}
}

func (f *multipartForm) addField(name, value string) {
	if f.fields++; f.fields > f.options.ArgumentLimit {
		set(f.variables.ArgumentsLimitReached(), "1")
		return
	}
	f.variables.ArgsPost().Add(ownName(name), value)
}

func (f *multipartForm) addFile(d disposition, size int) {
	f.variables.FilesNames().Add("", d.name())
	for _, filename := range d.filenames() {
		f.variables.MultipartFilename().Add(ownName(d.name()), filename)
		f.variables.Files().Add("", filename)
		f.variables.FilesSizes().Add(filename, strconv.Itoa(size))
	}
	if d.extended != nil {
		f.variables.MultipartFilenameCharset().Add(d.name(), d.extended.charset)
		f.variables.MultipartFilenameLanguage().Add(d.name(), d.extended.language)
	}
}
