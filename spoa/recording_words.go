package main

import "strings"

// kept are words that rules look for, and words of protocols: they tell nothing of a person, and without them a recorded request
// would pass where the real one does not.
var kept = func() map[string]bool {
	words := map[string]bool{}
	for word := range strings.FieldsSeq(keptWords) {
		words[word] = true
	}
	return words
}()

const keptWords = `
true false null undefined nan on off yes no none nil
http https ftp file data javascript www com org net html htm xml json php asp aspx jsp cgi css js png jpg jpeg gif svg pdf txt zip
get post put patch delete head options connect trace utf iso charset form multipart application text image
basic bearer digest negotiate gzip deflate br chunked keep alive close upgrade websocket
quot amp lt gt nbsp apos href src alt title style class div span br hr img table tr td th ul ol li h1 h2 h3 h4 h5 h6 em strong
pre code blockquote iframe script svg math object embed link meta base body head input button textarea label video audio source
onload onerror onclick onmouseover onfocus alert prompt confirm eval expression import document window cookie location
select except intersect insert update delete drop create alter table database union all distinct from where and or not in is like between exists
having group order by limit offset join left right inner outer cross as into values set case when then else end if concat char cast
convert count sum min max avg substring sleep benchmark waitfor delay exec execute declare schema information user version
begin commit rollback grant revoke truncate merge call procedure function return returns with using
echo print printf include require system passthru shell exec popen proc open close read write fopen fwrite file base64 decode encode
cat ls cp mv rm chmod chown ps id who whoami uname curl wget nc bash sh zsh ksh python perl ruby node java gcc find grep sed awk head tail
more less sort uniq time date env export sudo su kill ping host dig nslookup ifconfig netstat ssh scp tar unzip dir type copy move del
net ipconfig powershell cmd hh start etc passwd shadow hosts proc self tmp var usr bin local home root windows win ini boot
for while do done foreach var let const new class this typeof function async await
mutation query fragment subscription typename
`

func isKept(word string) bool {
	if len(word) == 1 && isDigit(word[0]) || strings.Trim(word, "0") == "" {
		return true
	}
	return len(word) <= 16 && kept[lower(word)]
}
