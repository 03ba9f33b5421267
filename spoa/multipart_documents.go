package main

import (
	"strings"

	"github.com/corazawaf/coraza/v3/experimental/plugins/plugintypes"
	"github.com/tidwall/gjson"
)

// filesAreRead is the TX variable by which a policy has files of type JSON or XML parsed.
const filesAreRead = "guardpanel_read_files"

// readDocument parses a part that declares itself JSON or XML as a body of that type: fields always, since frameworks
// pass them on decoded (Spring's @RequestPart), files if the policy says so.
func (f *multipartForm) readDocument(value string, header *partHeader) {
	if !header.mayBeField() && len(f.variables.TX().Get(filesAreRead)) == 0 {
		return
	}
	var err error
	switch {
	case header.isOf("json"):
		err = f.readJSON(value, header.contentType)
	case header.isOf("xml"):
		err = f.readXML(value, header.contentType)
	}
	if err != nil && !f.isCut {
		f.blame("part declared as " + header.mediaType + ": " + err.Error())
	}
}

// isOf: application/json, text/json, application/problem+json.
func (h *partHeader) isOf(format string) bool {
	return strings.HasSuffix(h.mediaType, "/"+format) || strings.HasSuffix(h.mediaType, "+"+format)
}

// readJSON shares the argument limit among all parts.
func (f *multipartForm) readJSON(value, contentType string) error {
	text, err := inUTF8(value, contentType)
	if err != nil {
		return err
	}
	left, depth := f.options.ArgumentLimit-f.fields, f.options.RequestBodyRecursionLimit
	if left <= 0 {
		set(f.variables.ArgumentsLimitReached(), "1")
		return nil
	}
	flat := newFlattened(f.variables, plugintypes.BodyProcessorOptions{ArgumentLimit: left}, len(text))
	err = flat.ended(flat.descend(gjson.Parse(text), append(flat.key, "json"...), depth))
	f.fields += flat.count + flat.lengths
	switch {
	case err != nil:
		return err
	case depthOfJSON(text) > depth: // before Valid, which recurses
		return errTooDeep
	case !gjson.Valid(text):
		return errNotJSON
	}
	return nil
}

func (f *multipartForm) readXML(value, contentType string) error {
	document, err := xmlInUTF8(value, contentType)
	if err != nil {
		return err
	}
	found := newXMLValues(len(document), f.options.RequestBodyRecursionLimit)
	err = found.read(document)
	xml := f.variables.RequestXML()
	xml.Set(xmlAttributes, append(xml.Get(xmlAttributes), found.attributes...))
	xml.Set(xmlTexts, append(xml.Get(xmlTexts), found.texts...))
	return err
}
