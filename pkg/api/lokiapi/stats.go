package lokiapi

import (
	"encoding/json"

	"braid/pkg/query/logql"
)

func (e *encoder) json(v any) {
	b, err := json.Marshal(v)
	if err != nil {
		b = []byte("null")
	}
	e.raw(string(b))
}

// stats is what a query cost, in the words that Grafana's inspector and logcli
// --stats read.
type stats struct {
	Summary  statsSummary `json:"summary"`
	Querier  statsStore   `json:"querier"`
	Ingester statsIngest  `json:"ingester"`
}

type statsSummary struct {
	BytesPerSecond  int64   `json:"bytesProcessedPerSecond"`
	LinesPerSecond  int64   `json:"linesProcessedPerSecond"`
	Bytes           int64   `json:"totalBytesProcessed"`
	Lines           int64   `json:"totalLinesProcessed"`
	ExecTime        float64 `json:"execTime"`
	QueueTime       float64 `json:"queueTime"`
	Subqueries      int     `json:"subqueries"`
	EntriesReturned int     `json:"totalEntriesReturned"`
	Splits          int     `json:"splits"`
	Shards          int     `json:"shards"`
}

type statsStore struct {
	Store struct {
		ChunksRef        int64 `json:"totalChunksRef"`
		ChunksDownloaded int64 `json:"totalChunksDownloaded"`
		DownloadTime     int64 `json:"chunksDownloadTime"`
		Chunk            struct {
			HeadBytes         int64 `json:"headChunkBytes"`
			HeadLines         int64 `json:"headChunkLines"`
			DecompressedBytes int64 `json:"decompressedBytes"`
			DecompressedLines int64 `json:"decompressedLines"`
			CompressedBytes   int64 `json:"compressedBytes"`
			TotalDuplicates   int64 `json:"totalDuplicates"`
		} `json:"chunk"`
	} `json:"store"`
}

type statsIngest struct {
	statsStore
	Reached int64 `json:"totalReached"`
	Chunks  int64 `json:"totalChunksMatched"`
	Batches int64 `json:"totalBatches"`
	Lines   int64 `json:"totalLinesSent"`
}

func statsOf(res *logql.Result) stats {
	var s stats
	seconds := max(res.Elapsed.Seconds(), 1e-9)
	if res.Stats != nil {
		s.Summary.Bytes, s.Summary.Lines = res.Stats.Bytes.Load(), res.Stats.Rows.Load()
		read, skipped := res.Stats.Blocks.Load(), res.Stats.BlocksSkipped.Load()
		s.Querier.Store.ChunksRef, s.Querier.Store.ChunksDownloaded = read+skipped, read
		s.Querier.Store.Chunk.DecompressedBytes, s.Querier.Store.Chunk.DecompressedLines = s.Summary.Bytes, s.Summary.Lines
	}
	s.Summary.BytesPerSecond = int64(float64(s.Summary.Bytes) / seconds)
	s.Summary.LinesPerSecond = int64(float64(s.Summary.Lines) / seconds)
	s.Summary.ExecTime, s.Summary.EntriesReturned = res.Elapsed.Seconds(), res.Entries
	s.Summary.Subqueries, s.Summary.Splits, s.Summary.Shards = 1, 0, 1
	return s
}
