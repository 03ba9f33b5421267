package main

// Payment card numbers have 13 to 19 digits (ISO/IEC 7812-1), begin with 2 to 6, and end with a Luhn check digit.
const (
	fewestDigits = 13
	mostDigits   = 19
)

// cards finds possible card numbers, including groups separated by single spaces or dashes.
func cards(text string) []span {
	var found []span
	for at := 0; at < len(text); {
		if !isDigit(text[at]) {
			at++
			continue
		}
		digits, to := digitsFrom(text, at)
		if isCard(digits) {
			found = append(found, span{at, to})
		}
		at = to
	}
	return found
}

// digitsFrom reads digits with single separators. `to` is after the last digit.
func digitsFrom(text string, at int) (digits []byte, to int) {
	for to = at; at < len(text); at++ {
		switch {
		case isDigit(text[at]):
			digits, to = append(digits, text[at]-'0'), at+1
		case (text[at] == ' ' || text[at] == '-' || text[at] == '+') && at == to:
		default:
			return digits, to
		}
	}
	return digits, to
}

func isDigit(b byte) bool { return b >= '0' && b <= '9' }

func isCard(digits []byte) bool {
	if len(digits) < fewestDigits || len(digits) > mostDigits || digits[0] < 2 || digits[0] > 6 {
		return false
	}
	sum := 0
	for at, digit := range digits {
		value := int(digit)
		if (len(digits)-at)%2 == 0 {
			if value *= 2; value > 9 {
				value -= 9
			}
		}
		sum += value
	}
	return sum%10 == 0
}
