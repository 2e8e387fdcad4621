using System.Diagnostics;

namespace SparseExperts.Tests.Fuzz;

/// <summary>
/// Two readers that begin at the same moment, again and again: what they disturb in each other shows in a few of a thousand rounds, however busy the machine
/// is, for a round is only over when both have run.
/// </summary>
static class SideBySide
{
    /// <param name="rounds">Made at least.</param>
    /// <param name="time">Spent at least.</param>
    /// <param name="open">Makes what a round's readers share.</param>
    /// <param name="read">Reads it, as reader 0 and as reader 1.</param>
    /// <returns>What a reader failed with; null where none did.</returns>
    public static Exception? Run<T>(int rounds, TimeSpan time, Func<T> open, Action<T, int> read) where T : class, IDisposable
    {
        var clock = Stopwatch.StartNew();
        Exception? failed = null;
        T? shared = null;
        long moment = 0, round = 0, done = 0;
        void Read(int reader)
        {
            while (Stopwatch.GetTimestamp() < Volatile.Read(ref moment)) Thread.SpinWait(1);
            try
            {
                read(shared!, reader);
            }
            catch (Exception e)
            {
                Volatile.Write(ref failed, e);
            }
        }
        var other = new Thread(() =>
        {
            for (long seen = 0, now; (now = Volatile.Read(ref round)) >= 0;)
            {
                if (now == seen) continue;
                seen = now;
                Read(1);
                Volatile.Write(ref done, seen);
            }
        });
        other.Start();
        for (long r = 1; failed is null && (r <= rounds || clock.Elapsed < time); r++)
        {
            using (shared = open())
            {
                Volatile.Write(ref moment, Stopwatch.GetTimestamp() + Stopwatch.Frequency / 100_000);
                Volatile.Write(ref round, r);
                Read(0);
                while (Volatile.Read(ref done) != r) Thread.SpinWait(1);
            }
        }
        Volatile.Write(ref round, -1);
        other.Join();
        return failed;
    }
}
