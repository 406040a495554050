package decode

// The closed lists of the protocol (names.md section 7).
var (
	systemStatuses = &ValueList{Name: "system status", Values: []string{"IN_SERVICE", "OUT_OF_SERVICE"}, fault: "neither IN_SERVICE nor OUT_OF_SERVICE"}

	agentStateList = &ValueList{Name: "agent state", Values: []string{
		"UNKNOWN", "READY", "NOT_READY", "LOGOUT", "LOGIN", "TALKING", "RESERVED", "RESERVED_OUTBOUND",
		"RESERVED_OUTBOUND_PREVIEW", "WORK", "WORK_READY", "HOLD"},
		Also: []string{"RE_LOGIN", "LOGGED_IN"}, fault: "not an agent state"}

	// dialogStateList also serves participants.
	dialogStateList = &ValueList{Name: "dialog state", Values: []string{
		"INITIATING", "INITIATED", "ALERTING", "ACTIVE", "HELD", "FAILED", "DROPPED", "ACCEPTED", "WRAP_UP", "NOT_FOUND"},
		Aliases: [][2]string{{"DROP", "DROPPED"}, {"Deleted", "DROPPED"}, {"Hold", "HELD"}, {"NotFound", "NOT_FOUND"}},
		fault:   "not a dialog state"}

	// statusStateList is that of DialogStatus, where the documents print the
	// words DialogState and AssDialogState, placeholders or literals.
	statusStateList = &ValueList{Name: "dialog state", Values: dialogStateList.Values, Aliases: dialogStateList.Aliases,
		Also: []string{"DialogState", "AssDialogState"}, fault: "not a dialog state"}

	wrapUpModes = &ValueList{Name: "wrap-up mode", Values: []string{
		"OPTIONAL", "REQUIRED", "NOT_ALLOWED", "REQUIRED_WITH_WRAP_UP_DATA"}, fault: "not a wrap-up mode"}

	textCategories = &ValueList{Name: "reason category", Values: []string{"NOT_READY", "LOGOUT", "Wrap_Up"},
		Aliases: [][2]string{{"WrapUp", "Wrap_Up"}}, fault: "not a reason category"}
	jsonCategories = &ValueList{Name: "reason category", Values: []string{"NOT_READY", "LOGOUT", "WrapUp"},
		Aliases: [][2]string{{"Wrap_Up", "WrapUp"}}, fault: "not a reason category"}

	boolList           = &ValueList{Name: "bool", Values: []string{"true", "false"}, fault: "neither true nor false"}
	destinationActions = &ValueList{Name: "destination action", Values: []string{"RECONNECT"}, fault: "not the word RECONNECT"}
	acceptActions      = &ValueList{Name: "preview action", Values: []string{"ACCEPT"}, fault: "not the word ACCEPT"}
	rejectActions      = &ValueList{Name: "preview action", Values: []string{"REJECT"}, fault: "not the word REJECT"}
	closeActions       = &ValueList{Name: "preview action", Values: []string{"CLOSE"}, fault: "not the word CLOSE"}
	skillGroupModes    = &ValueList{Name: "skill group mode", Values: []string{"ALL", "INDEXING"}, fault: "neither ALL nor INDEXING"}

	errorCodeList = errorCodes()
)

// errorCodes makes the closed list out of the table of errors.
func errorCodes() *ValueList {
	l := &ValueList{Name: "error code", fault: "not listed in the documents", open: true}
	for i := range errorTable {
		e := &errorTable[i]
		l.Values = append(l.Values, e.Code)
		for _, alias := range e.Aliases {
			l.Aliases = append(l.Aliases, [2]string{alias, e.Code})
		}
	}
	return l
}

// ValueLists returns the closed lists.
func ValueLists() []*ValueList {
	return []*ValueList{systemStatuses, agentStateList, dialogStateList, wrapUpModes, textCategories, boolList,
		destinationActions, acceptActions, rejectActions, closeActions, skillGroupModes, errorCodeList}
}
