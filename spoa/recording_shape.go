package main

import (
	"math/rand/v2"
	"strings"
	"unicode"
	"unicode/utf8"
)

// What letters and digits are replaced by. No vowels, and few letters: a replacement must not become a word that rules look for.
const (
	plainLetters = "bhkqvy"
	hexLetters   = "abcdef"
	digits       = "0123456789"
)

// shape gives a text of the same length in which each word and number is another of its kind: letters for letters in their case,
// digits for digits, hexadecimal for hexadecimal, letters of other scripts for such of the same length. What is between them stays,
// and so do single digits and the words that rules look for.
func (m *masks) shape(text string) string {
	var out strings.Builder
	out.Grow(len(text))
	for at := 0; at < len(text); {
		if isWordByte(text[at]) {
			to := at
			for to < len(text) && isWordByte(text[to]) {
				to++
			}
			out.WriteString(m.word(text[at:to]))
			at = to
			continue
		}
		symbol, size := utf8.DecodeRuneInString(text[at:])
		switch {
		case symbol == utf8.RuneError && size == 1:
			out.WriteByte(0xf8 | m.number(text[at:at+1], at).next(8)) // no part of valid UTF-8 either
		case unicode.IsLetter(symbol) || unicode.IsNumber(symbol):
			out.WriteRune(m.letter(symbol, size, at))
		default:
			out.WriteString(text[at : at+size])
		}
		at += size
	}
	return out.String()
}

func isWordByte(b byte) bool {
	return isDigit(b) || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z'
}

// dice are thrown the same way for the same text.
type dice struct{ *rand.PCG }

func (m *masks) number(text string, salt int) dice {
	return dice{rand.NewPCG(m.hash(text), uint64(salt))}
}

func (d dice) next(sides int) byte { return byte(d.Uint64() % uint64(sides)) }

// word replaces one run of ASCII letters and digits.
func (m *masks) word(word string) string {
	if isKept(word) {
		return word
	}
	letters := plainLetters
	if isHex(word) {
		letters = hexLetters
	}
	random := m.number(word, 0)
	masked := []byte(word)
	from := 0
	if strings.HasPrefix(word, "eyJ") { // a JSON Web Token begins so
		from = 3
	}
	for at := from; at < len(masked); at++ {
		masked[at] = alike(masked[at], letters, random)
	}
	for from < len(word) && (string(masked) == word || isKept(string(masked))) { // rules look for `by`, `hh` and `h1`, too
		masked[from] = another(masked[from], letters)
	}
	return string(masked)
}

func alike(b byte, letters string, random dice) byte {
	switch {
	case b == '0':
		return '0' // so that a number has as many digits as before, and a date is none that begins with other zeros
	case isDigit(b):
		return '1' + random.next(9)
	case b >= 'a':
		return letters[random.next(len(letters))]
	}
	return letters[random.next(len(letters))] - 'a' + 'A'
}

// another is the one after, where chance gave the same.
func another(b byte, letters string) byte {
	switch {
	case isDigit(b):
		return digits[(b-'0')%9+1]
	case b >= 'a':
		return letters[(strings.IndexByte(letters, b)+1)%len(letters)]
	}
	return letters[(strings.IndexByte(letters, b-'A'+'a')+1)%len(letters)] - 'a' + 'A'
}

// isHex tells a hash, a key or a part of a UUID, whose letters stay hexadecimal.
func isHex(word string) bool {
	hasDigit := false
	for at := range len(word) {
		b := word[at] | 0x20
		if !isDigit(word[at]) && (b < 'a' || b > 'f') {
			return false
		}
		hasDigit = hasDigit || isDigit(word[at])
	}
	return hasDigit
}

// letter is one of another script, as many bytes long.
func (m *masks) letter(symbol rune, size, at int) rune {
	random := m.number(string(symbol), at).Uint64()
	switch {
	case unicode.Is(unicode.Han, symbol) && size == 3:
		return 0x4e00 + rune(random%0x5000)
	case unicode.Is(unicode.Cyrillic, symbol) && size == 2:
		return 0x430 + rune(random%32)
	case size == 2:
		return 0xe0 + rune(random%23) // à to ö
	case size == 3:
		return 0xac00 + rune(random%0x2000) // a syllable of Hangul
	}
	return 0x20000 + rune(random%0xa000) // a sign of CJK
}
