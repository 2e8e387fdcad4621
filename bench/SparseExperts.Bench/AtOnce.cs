namespace SparseExperts.Bench;

/// <summary>Trainings beside each other: their numbers depend neither on each other nor on threads.</summary>
static class AtOnce
{
    /// <summary>Does all, at most so many at a time; what is done is handed over one by one, in whatever order it ends.</summary>
    public static void Each<T, R>(IReadOnlyList<T> all, int atOnce, Func<T, R> work, Action<T, R> done)
    {
        var handing = new Lock();
        Parallel.ForEach(all, new ParallelOptions { MaxDegreeOfParallelism = Math.Max(1, atOnce) }, one =>
        {
            var result = work(one);
            lock (handing) done(one, result);
        });
    }
}
