package main

import (
	"regexp"
	"strings"
)

// multipart keeps boundaries and the heads of parts, but for the names of files and what is no name of a field.
func (m *masks) multipart(body, boundary string) string {
	lines := strings.SplitAfter(body, "\n")
	inHead := false
	for at, line := range lines {
		switch {
		case strings.HasPrefix(line, boundary):
			inHead = true
		case inHead && strings.TrimRight(line, "\r\n") == "":
			inHead = false
		case inHead:
			lines[at] = m.partHeader(line)
		default:
			lines[at] = m.shape(line)
		}
	}
	return strings.Join(lines, "")
}

var (
	partParameter   = regexp.MustCompile(`([;\s])(\w+)(\*?)=("(?:[^"\\]|\\.)*"?|[^;\s]*)`)
	dispositionRest = regexp.MustCompile(`(?i)^[\s;]*(?:form-data|attachment|inline|file)?[\s;]*$`)
	fileEnding      = regexp.MustCompile(`\.[A-Za-z0-9]{1,8}"?$`)
)

// partHeader keeps a type, and of other headers the kind of content and the names of parameters.
func (m *masks) partHeader(line string) string {
	header, value, named := strings.Cut(line, ":")
	switch {
	case named && keptHeaders[strings.ToLower(header)] || named && strings.EqualFold(header, "content-transfer-encoding"):
		return line
	case named && strings.EqualFold(header, "content-disposition"):
		return header + ":" + m.parameters(value)
	case !named && strings.TrimLeft(line, " \t") != line: // goes on with the line before
		return m.parameters(line)
	}
	return m.name(header) + line[len(header):len(line)-len(value)] + m.shape(value)
}

func (m *masks) parameters(text string) string {
	if !dispositionRest.MatchString(partParameter.ReplaceAllString(text, "")) {
		return m.shape(text)
	}
	return partParameter.ReplaceAllStringFunc(text, func(parameter string) string {
		name, value, _ := strings.Cut(parameter, "=")
		switch strings.ToLower(strings.TrimRight(name[1:], "*")) {
		case "name":
			return name + "=" + m.quoted(value, m.name)
		case "filename":
			ending := fileEnding.FindString(value)
			return name + "=" + m.escaped(value[:len(value)-len(ending)]) + ending
		}
		return name + "=" + m.escaped(value)
	})
}

// quoted masks what is between quotes.
func (m *masks) quoted(value string, mask func(string) string) string {
	inside := strings.Trim(value, `"`)
	before, after, _ := strings.Cut(value, inside)
	return before + mask(inside) + after
}
