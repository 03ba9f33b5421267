package main

import (
	"errors"
	"io"
	"strconv"

	"github.com/corazawaf/coraza/v3/experimental/plugins"
	"github.com/corazawaf/coraza/v3/experimental/plugins/plugintypes"
)

// The body processors that directives name (`ctl:requestBodyProcessor=…`): Coraza's own JSON, XML, URLENCODED and
// MULTIPART are replaced, the others are new. They implement a policy's choices for content types: text, binary, and so
// on.
func init() {
	for name, read := range map[string]reading{
		"json": readJSON, "ndjson": readNDJSON, "xml": readXML, "urlencoded": readForm, "multipart": readMultipart,
		"text": readText, "binary": readBinary, "none": readNothing,
	} {
		plugins.RegisterBodyProcessor(name, func() plugintypes.BodyProcessor { return processor{read} })
	}
}

// reading fills the collections that rules inspect with what a server would find in a body. An error marks the body as
// invalid: directives turn it into a verdict (REQBODY_ERROR, rule 200002). What was read before the error stays, so
// that it is inspected if nothing is blocked.
type reading func(body string, v plugintypes.TransactionVariables, options plugintypes.BodyProcessorOptions) error

// processor adapts a reading to Coraza's interface. Response bodies are only inspected as RESPONSE_BODY.
type processor struct{ read reading }

func (p processor) ProcessRequest(
	from io.Reader, v plugintypes.TransactionVariables, options plugintypes.BodyProcessorOptions,
) error {
	body, err := io.ReadAll(from)
	if err != nil {
		return err
	}
	return p.read(string(body), v, options)
}

func (processor) ProcessResponse(io.Reader, plugintypes.TransactionVariables, plugintypes.BodyProcessorOptions) error {
	return nil
}

// partialBody is the TX variable that marks a body as truncated: its premature end is not an error then.
const partialBody = "guardpanel_partial_body"

// set writes a single-value variable of Coraza, for which its plugin interface has no method.
func set(variable any, value string) {
	if settable, ok := variable.(interface{ Set(string) }); ok {
		settable.Set(value)
	}
}

// setBody sets REQUEST_BODY, which some rules inspect besides the arguments.
func setBody(v plugintypes.TransactionVariables, body string) {
	set(v.RequestBody(), body)
	set(v.RequestBodyLength(), strconv.Itoa(len(body)))
}

// cutShort reports whether an error is only due to a truncated body.
func cutShort(v plugintypes.TransactionVariables, err error) bool {
	return errors.Is(err, io.ErrUnexpectedEOF) && len(v.TX().Get(partialBody)) > 0
}

// unreadBody is the TX variable that marks a body that no rule inspected, because of its content type.
const unreadBody = "guardpanel_unread_body"

// readNothing is for bodies that the policy does not inspect. Events report it.
func readNothing(body string, v plugintypes.TransactionVariables, _ plugintypes.BodyProcessorOptions) error {
	if body != "" {
		v.TX().Set(unreadBody, []string{"1"})
	}
	return nil
}
