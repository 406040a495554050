package report

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gctap/capture"
	"gctap/store"
	"gctap/viewer/model"
)

// example is a morning of two agents and a supervisor with a little of
// everything that a report tells: the README shows it.
func example() (records []capture.Record) {
	at := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	const ms = time.Millisecond
	add := func(d time.Duration, rec capture.Record) {
		at = at.Add(d)
		rec.Source, rec.BodyKind, rec.CapturedAt = "stomp", capture.Text, at
		records = append(records, rec)
	}
	event := func(d time.Duration, desk, body string) {
		add(d, capture.Record{Direction: capture.Event, To: "topic://desk." + desk, Body: []byte(body)})
	}
	command := func(d time.Duration, desk, typ, body string) {
		add(d, capture.Record{Direction: capture.Command, To: "queue://Connector1", JMSType: &typ, Body: []byte(body), MessageID: "ID:" + desk + "-1-2:1:1:1"})
	}
	names := map[string]string{"1001": "Ana Lopez", "1002": "Ben Ito", "1010": "Cleo Sander"}
	state := func(d time.Duration, agent, state, reason, label string) {
		event(d, agent, fmt.Sprintf("%s#State#%s#%s###2026-11-23 09:00:00#%s#%s#3%s#%s#%s#agent%s", agent, state, reason, names[agent], agent, agent[1:], label, names[agent], agent))
	}
	call := func(d time.Duration, agent, state, dialog string) {
		event(d, agent, agent+"#InboundCall#"+state+"#DialogID:"+dialog+"#42512#ani=42512#2026-11-23 09:02:00#CallType:PREROUTE_ACD_IN#ParticipantsCount:0#participants:")
	}
	for _, agent := range []string{"1001", "1002", "1010"} {
		command(time.Second, agent, "Connect#"+agent, "desk."+agent+",***")
		command(10*ms, agent, "Login#"+agent, "***,3"+agent[1:])
		event(40*ms, agent, agent+"#AgentInfo#"+strings.Replace(names[agent], " ", "#", 1)+"#"+map[bool]string{true: "True", false: "False"}[agent == "1010"]+"#OPTIONAL#5#"+names[agent]+"#agent"+agent)
		state(10*ms, agent, "NOT_READY", "-1", "")
	}
	for i := range 6 {
		agent, dialog := []string{"1001", "1002"}[i%2], fmt.Sprint(17000000+i)
		command(4*time.Second, agent, "MakeReady#"+agent, "")
		state(40*ms, agent, "READY", "", "")
		state(12*time.Second, agent, "RESERVED", "", "")
		event(10*ms, agent, agent+"#NewInboundCall#42512#ani=42512#DialogID:"+dialog+"#CallType:PREROUTE_ACD_IN#x")
		command(2*time.Second, agent, "AnswerCall#"+agent, dialog)
		call(30*ms, agent, "ACTIVE", dialog)
		state(10*ms, agent, "TALKING", "", "")
		command(time.Duration(10+7*i)*time.Second, agent, "HoldCall#"+agent, dialog)
		if i == 3 { // lost
			command(8*time.Second, agent, "HoldCall#"+agent, dialog)
		}
		call(time.Duration(1+i%3)*900*ms, agent, "HELD", dialog)
		state(10*ms, agent, "HOLD", "", "")
		command(9*time.Second, agent, "ReleaseCall#"+agent, dialog)
		call(30*ms, agent, "DROPPED", dialog)
		state(10*ms, agent, "NOT_READY", "32", "Lunch")
	}
	lost := int64(4)
	gap := capture.Gap{From: at, To: at.Add(40 * time.Second), Reason: capture.GapReconnect, Lost: &lost}.Record()
	at = at.Add(40 * time.Second)
	records = append(records, gap)
	command(20*time.Second, "1010", "force_logout#1001", "")
	state(60*ms, "1001", "LOGOUT", "", "")
	command(5*time.Second, "1002", "MakeReady#1002", "")
	return records
}

// pictureFile is the picture that the README shows; the command that makes it:
//
//	GCTAP_PICTURE=1 go test ./viewer/report -run TestPictureOfAReport
const pictureFile = "example.png"

// maxPicture bounds it: a repository is no place for large files.
const maxPicture = 150 << 10

// TestPictureOfAReport makes the README's picture where $GCTAP_PICTURE is set,
// and else looks whether there is one.
func TestPictureOfAReport(t *testing.T) {
	if os.Getenv("GCTAP_PICTURE") != "" {
		info := store.SessionInfo{Name: "monday", Origin: store.OriginRecord, Broker: "stomp://broker:61613", Redacted: true, Mode: "mirror", StartedAt: time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)}
		s, one := sessionOf(t, example(), info, "queue://Connector1")
		p, err := Session(context.Background(), s, one, Options{Program: "gctap", Ladder: LadderOptions{Stretch: model.Stretch{From: 52, To: 63}}})
		if err != nil {
			t.Fatal(err)
		}
		var page bytes.Buffer
		if err := p.Write(&page); err != nil {
			t.Fatal(err)
		}
		writePicture(t, screenshot(t, page.String()))
	}
	file, err := os.Open(pictureFile)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := png.DecodeConfig(file); err != nil {
		t.Error(err)
	}
	if info, _ := file.Stat(); info.Size() > maxPicture {
		t.Errorf("the picture has %d bytes", info.Size())
	}
}

// screenshot is how a page looks in Chromium.
func screenshot(t *testing.T, html string) image.Image {
	t.Helper()
	shot := filepath.Join(t.TempDir(), "shot.png")
	chromium(t, html, schemes[0].flag, "--window-size=1080,2010", "--screenshot="+shot)
	file, err := os.Open(shot)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	img, err := png.Decode(file)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// writePicture keeps the 256 colours that occur most: a page has few, and
// shades at the edges of letters.
func writePicture(t *testing.T, img image.Image) {
	t.Helper()
	seen := map[color.RGBA]int{}
	for y := range img.Bounds().Dy() {
		for x := range img.Bounds().Dx() {
			seen[color.RGBAModel.Convert(img.At(x, y)).(color.RGBA)]++
		}
	}
	var palette color.Palette
	for c := range seen {
		palette = append(palette, c)
	}
	slices.SortFunc(palette, func(a, b color.Color) int {
		p, q := a.(color.RGBA), b.(color.RGBA)
		if n := seen[q] - seen[p]; n != 0 {
			return n
		}
		return int(p.R)<<16 + int(p.G)<<8 + int(p.B) - int(q.R)<<16 - int(q.G)<<8 - int(q.B)
	})
	few := image.NewPaletted(img.Bounds(), palette[:min(len(palette), 256)])
	draw.Draw(few, few.Bounds(), img, img.Bounds().Min, draw.Src)
	file, err := os.Create(pictureFile)
	if err != nil {
		t.Fatal(err)
	}
	encoder := png.Encoder{CompressionLevel: png.BestCompression}
	if err := encoder.Encode(file, few); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
}
