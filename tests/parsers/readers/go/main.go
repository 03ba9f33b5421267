// Command read answers with what Go's standard library hands to an application of a body: a line of JSON for each.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
)

type asked struct {
	Type    string `json:"type"`
	Content []byte `json:"content"`
}

// value is [reader, place, path, text]; bytes are base64 in JSON.
type value [4]any

func main() {
	lines := bufio.NewReaderSize(os.Stdin, 1<<20)
	output := bufio.NewWriter(os.Stdout)
	answers := json.NewEncoder(output)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		var body asked
		if err := json.Unmarshal(line, &body); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		_ = answers.Encode(read(body))
		_ = output.Flush()
	}
}

func read(body asked) []value {
	found := []value{}
	found = append(found, form(body)...)
	if strings.Contains(strings.ToLower(body.Type), "json") {
		var document any
		if json.NewDecoder(bytes.NewReader(body.Content)).Decode(&document) == nil {
			found = leaves(found, document, []string{})
		}
	}
	if strings.Contains(strings.ToLower(body.Type), "xml") {
		found = append(found, texts(body.Content)...)
	}
	return found
}

// form is what r.PostForm and r.MultipartForm hold: nothing, where reading it ends with an error.
func form(body asked) (found []value) {
	request, err := http.ReadRequest(bufio.NewReader(io.MultiReader(
		strings.NewReader("POST / HTTP/1.1\r\nHost: shop.test\r\nContent-Length: "+strconv.Itoa(len(body.Content))+"\r\nContent-Type: "),
		strings.NewReader(body.Type), strings.NewReader("\r\n\r\n"), bytes.NewReader(body.Content),
	)))
	if err != nil {
		return nil
	}
	if err := request.ParseMultipartForm(32 << 20); err != nil && err != http.ErrNotMultipart {
		return nil
	}
	for name, values := range request.PostForm {
		for _, text := range values {
			found = append(found, value{"go", "field", []string{name}, []byte(text)})
		}
	}
	if request.MultipartForm != nil {
		for name, files := range request.MultipartForm.File {
			for _, file := range files {
				found = append(found, value{"go", "file", []string{name}, []byte(file.Filename)})
			}
		}
	}
	return found
}

func leaves(found []value, what any, path []string) []value {
	switch what := what.(type) {
	case string:
		found = append(found, value{"encoding/json", "json", append([]string{}, path...), []byte(what)})
	case map[string]any:
		for name, one := range what {
			found = leaves(found, one, append(path[:len(path):len(path)], name))
		}
	case []any:
		for at, one := range what {
			found = leaves(found, one, append(path[:len(path):len(path)], strconv.Itoa(at)))
		}
	}
	return found
}

// texts are elements' and attributes' as encoding/xml's Unmarshal joins them.
func texts(content []byte) []value {
	var root node
	if xml.Unmarshal(content, &root) != nil {
		return nil
	}
	return root.texts(nil)
}

type node struct {
	Attributes []xml.Attr `xml:",any,attr"`
	Text       string     `xml:",chardata"`
	Children   []node     `xml:",any"`
}

func (n node) texts(found []value) []value {
	found = append(found, value{"encoding/xml", "xml", []string{}, []byte(n.Text)})
	for _, attribute := range n.Attributes {
		found = append(found, value{"encoding/xml", "xml", []string{}, []byte(attribute.Value)})
	}
	for _, child := range n.Children {
		found = child.texts(found)
	}
	return found
}
