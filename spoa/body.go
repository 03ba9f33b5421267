package main

import (
	"errors"
	"io"
	"strconv"

	"github.com/corazawaf/coraza/v3/experimental/plugins"
	"github.com/corazawaf/coraza/v3/experimental/plugins/plugintypes"
)

// The body processors that directives name (`ctl:requestBodyProcessor=…`): Coraza's own JSON, XML, URLENCODED and MULTIPART are
// replaced, the others are new. What a policy calls reading a content type as text, binary, … is one of them.
func init() {
	for name, read := range map[string]reading{
		"json": readJSON, "ndjson": readNDJSON, "xml": readXML, "urlencoded": readForm, "multipart": readMultipart,
		"text": readText, "binary": readBinary, "none": readNothing,
	} {
		plugins.RegisterBodyProcessor(name, func() plugintypes.BodyProcessor { return processor{read} })
	}
}

// reading fills the collections that rules look at with what a server would find in a body. An error is a body that is
// refused: directives turn it into a verdict (REQBODY_ERROR, rule 200002). What was read before the error stays, so that
// it is judged where nothing is refused.
type reading func(body string, v plugintypes.TransactionVariables, options plugintypes.BodyProcessorOptions) error

// processor is Coraza's view of a reading. Bodies of responses are looked at as RESPONSE_BODY alone.
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

// partialBody is the variable of the TX collection that says that a body goes on after what was handed over: that it
// ends too early is then no error.
const partialBody = "guardpanel_partial_body"

// set writes one of Coraza's variables of a single value; its interface for plugins has no way to.
func set(variable any, value string) {
	if settable, ok := variable.(interface{ Set(string) }); ok {
		settable.Set(value)
	}
}

// setBody is REQUEST_BODY, which some rules look at beside the arguments.
func setBody(v plugintypes.TransactionVariables, body string) {
	set(v.RequestBody(), body)
	set(v.RequestBodyLength(), strconv.Itoa(len(body)))
}

// cutShort tells an error from that of a body of which only the beginning is here.
func cutShort(v plugintypes.TransactionVariables, err error) bool {
	return errors.Is(err, io.ErrUnexpectedEOF) && len(v.TX().Get(partialBody)) > 0
}

// unreadBody is the variable of the TX collection that says that no rule saw the body, because of its content type.
const unreadBody = "guardpanel_unread_body"

// readNothing is for bodies that the policy does not look into. Events say so.
func readNothing(body string, v plugintypes.TransactionVariables, _ plugintypes.BodyProcessorOptions) error {
	if body != "" {
		v.TX().Set(unreadBody, []string{"1"})
	}
	return nil
}
