package e2e

import (
	"strconv"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
)

func now() pcommon.Timestamp { return pcommon.NewTimestampFromTime(time.Now()) }

// ago is a time so many seconds before now, as Unix seconds.
func ago(seconds int) string {
	return strconv.FormatInt(time.Now().Add(-time.Duration(seconds)*time.Second).Unix(), 10)
}
