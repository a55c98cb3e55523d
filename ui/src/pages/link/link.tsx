/** A short link: looks up the place that it stands for and goes there. */
import { useQuery } from "@tanstack/react-query";
import { useParams as useRouteParams, useRouter } from "@tanstack/react-router";
import { useEffect } from "react";
import { ApiError } from "@/api/http";
import { openLink } from "@/api/kept";
import { Empty, ErrorNotice, Loading } from "@/parts/feedback";
import { useTitle } from "@/shell/shell";

export default function LinkPage() {
  const { id = "" } = useRouteParams({ strict: false }) as { id?: string };
  const router = useRouter();
  useTitle("Link");
  const q = useQuery({
    queryKey: ["link", id],
    queryFn: ({ signal }) => openLink(id, signal),
    retry: false,
    staleTime: Number.POSITIVE_INFINITY,
  });
  useEffect(() => {
    if (q.data) router.history.replace(q.data);
  }, [q.data, router]);
  const gone = q.error instanceof ApiError && q.error.status === 404;
  return (
    <div className="page">
      <div className="page-head">
        <h1>{gone ? "This link is not known" : "Opening the link…"}</h1>
      </div>
      <Loading on={q.isFetching} />
      {gone ? (
        <Empty title="The server keeps no such link">
          It may belong to another tenant (see Preferences), or be so old that newer links took its place.
        </Empty>
      ) : (
        <ErrorNotice error={q.error} retry={() => void q.refetch()} />
      )}
    </div>
  );
}
