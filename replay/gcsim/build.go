package gcsim

import "strings"

// A Build is a way of behaving that differs from the baseline, as a new
// release of GC differs from the one before.
type Build struct {
	Name   string
	Doc    string
	Faults []string // see ParseFault
}

// builds are the rows behind --build.
var builds = []Build{
	{Name: "a", Doc: "as the documents say"},
	{Name: "b", Doc: "says reason 0 where a says -1, forgets the time of a participant on hold, calls one inbound call ACD_IN", Faults: []string{
		"change:State.reasonCode=-1=>0",
		"change:InboundCall:HELD.participants[1].time=@1",
		"change:NewInboundCall.callType=ACD_IN@2",
	}},
	{Name: "c", Doc: "loses, doubles, swaps and delays events, and sends one too many", Faults: []string{
		"missing:ConsultCall:ALERTING@1",
		"double:ReasonCodes@1",
		"reorder:InboundCall:HELD@2",
		"late:Phonebooks@1:5s",
		"extra:PhonebookContacts@1",
	}},
	{Name: "d", Doc: "refuses a list, uses another error code and another label", Faults: []string{
		"error:GetPhonebookContacts=CF_RESOURCE_BUSY@1",
		"change:Error.errorCode=NO_DIALOG_ID=>E_CTI_INVALID_CALLID",
		"change:State:NOT_READY.label=Lunch=>Luncheon",
	}},
}

// Builds returns the builds that Config.Build can name, the baseline first.
func Builds() []Build { return append([]Build(nil), builds...) }

// LookupBuild finds a build by its name.
func LookupBuild(name string) (Build, bool) {
	for _, b := range builds {
		if b.Name == name {
			return b, true
		}
	}
	return Build{}, false
}

func buildNames() string {
	names := make([]string, len(builds))
	for i, b := range builds {
		names[i] = b.Name
	}
	return strings.Join(names, ", ")
}
