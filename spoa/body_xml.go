package main

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/corazawaf/coraza/v3/experimental/plugins/plugintypes"
)

// The collections that rules inspect: SecLang's XML:/* and XML://@*, by Coraza's names.
const (
	xmlTexts      = "/*"
	xmlAttributes = "//@*"
)

var errManyTexts = errors.New("XML text nested too deeply")

// readXML gives rules the attribute values and element texts as an application gets them. Entities are resolved.
// Attributes are also among the texts, since few rules inspect XML://@*. Texts that are split by comments, CDATA
// sections, processing instructions or elements are given in pieces and joined. XML is parsed strictly, since servers
// would read differently what a lenient parser accepts. Coraza's own parser ends elements as HTML does: each <param> of
// XML-RPC is an error there.
func readXML(body string, v plugintypes.TransactionVariables, options plugintypes.BodyProcessorOptions) error {
	document, err := xmlInUTF8(body, options.Mime)
	if err != nil {
		setBody(v, body)
		return err
	}
	found := newXMLValues(len(document), options.RequestBodyRecursionLimit)
	err = found.read(document)
	v.RequestXML().Set(xmlAttributes, found.attributes)
	v.RequestXML().Set(xmlTexts, found.texts)
	if cutShort(v, err) {
		return nil
	}
	return err
}

// isXML: well-formed to its end, with an element.
func isXML(text string, depth int) bool {
	if !strings.HasPrefix(strings.TrimLeft(text, " \t\r\n"), "<") {
		return false
	}
	return newXMLValues(len(text), depth).read(text) == nil
}

// xmlValues collects values within limits: nested text is written repeatedly, at most eight times the document in
// total.
type xmlValues struct {
	attributes, texts []string
	open              []element
	all               strings.Builder // all texts so far
	depth, budget     int
	rooted            bool
	named             func(name, value string) // nil, or called for each element and attribute
}

// element is an open element.
type element struct {
	name    string
	begins  int      // of its text, in all
	pieces  []string // of the text that stands in it alone
	further bool     // it has elements
}

func newXMLValues(size, depth int) *xmlValues {
	return &xmlValues{depth: depth, budget: max(8*size, 4096)}
}

// read returns io.ErrUnexpectedEOF if elements are still open at the end. Their content so far is included.
func (x *xmlValues) read(document string) error {
	decoder := xml.NewDecoder(strings.NewReader(document))
	decoder.Entity = xml.HTMLEntity // what XHTML's document types declare
	for {
		token, err := decoder.Token()
		switch {
		case err == io.EOF && x.rooted:
			return nil
		case err == io.EOF:
			return errors.New("XML without an element")
		case err == nil:
			err = x.take(token)
		}
		if err != nil {
			for len(x.open) > 0 && x.leave() == nil {
			}
			return ended(err)
		}
	}
}

func ended(err error) error {
	if wrong := (*xml.SyntaxError)(nil); errors.As(err, &wrong) && wrong.Msg == "unexpected EOF" {
		return fmt.Errorf("%w in XML", io.ErrUnexpectedEOF)
	}
	return err
}

func (x *xmlValues) take(token xml.Token) error {
	switch token := token.(type) {
	case xml.StartElement:
		return x.start(token)
	case xml.EndElement:
		return x.leave()
	case xml.CharData:
		return x.text(string(token))
	case xml.Directive:
		return checkDocumentType(string(token))
	}
	return nil
}

func (x *xmlValues) start(token xml.StartElement) error {
	if len(x.open) >= x.depth {
		return errTooDeep
	}
	for _, attribute := range token.Attr {
		x.attributes = append(x.attributes, attribute.Value)
		x.tell(attribute.Name.Local, attribute.Value)
		if isNamespace(attribute.Name) {
			continue
		}
		if err := x.add(attribute.Value); err != nil {
			return err
		}
	}
	if len(x.open) > 0 {
		x.open[len(x.open)-1].further = true
	}
	x.rooted = true
	x.open = append(x.open, element{name: token.Name.Local, begins: x.all.Len()})
	return nil
}

// isNamespace: a vocabulary's name is not a value of the document.
func isNamespace(name xml.Name) bool {
	return name.Space == "xmlns" || name.Space == "" && name.Local == "xmlns" ||
		name.Space == "http://www.w3.org/2001/XMLSchema-instance" && strings.HasSuffix(strings.ToLower(name.Local), "schemalocation")
}

// text adds a piece. The decoder ends one at a comment, an instruction, an element, and either end of a CDATA section.
func (x *xmlValues) text(piece string) error {
	if len(x.open) > 0 {
		inside := &x.open[len(x.open)-1]
		inside.pieces = append(inside.pieces, piece)
		x.all.WriteString(piece)
	}
	return x.add(piece)
}

// leave writes an element's joined text, without and with that of nested elements.
func (x *xmlValues) leave() error {
	left := x.open[len(x.open)-1]
	x.open = x.open[:len(x.open)-1]
	x.tell(left.name, left.pieces...)
	if len(left.pieces) < 2 && !left.further {
		return nil
	}
	own, whole := strings.Join(left.pieces, ""), x.all.String()[left.begins:]
	x.tell(left.name, own, whole)
	if strings.TrimSpace(own) == "" { // elements alone, whose texts are no sentence
		return nil
	}
	if len(left.pieces) > 1 {
		if err := x.add(own); err != nil {
			return err
		}
	}
	if whole == own {
		return nil
	}
	return x.add(whole)
}

func (x *xmlValues) tell(name string, values ...string) {
	for _, value := range values {
		if value = strings.TrimSpace(value); x.named != nil && value != "" {
			x.named(name, value)
		}
	}
}

// eachInXML returns the values of elements and attributes by name, as rules see them.
func eachInXML(body, contentType string, depth int, tell func(name, value string)) {
	if document, err := xmlInUTF8(body, contentType); err == nil {
		values := newXMLValues(len(document), depth)
		values.named = tell
		_ = values.read(document)
	}
}

func (x *xmlValues) add(text string) error {
	if text = strings.TrimSpace(text); text == "" {
		return nil
	}
	x.texts = append(x.texts, text)
	if !x.spend(text) {
		return errManyTexts
	}
	return nil
}

func (x *xmlValues) spend(text string) bool {
	x.budget -= len(text)
	return x.budget >= 0
}
