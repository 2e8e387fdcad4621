using System.Runtime.ExceptionServices;

namespace SparseExperts;

/// <summary>Independent work on all processors; its first failure arrives as itself, not wrapped.</summary>
public static class Parallelism
{
    /// <summary>Runs <paramref name="body"/> for 0 … count − 1.</summary>
    public static void For(int count, Action<int> body)
    {
        try
        {
            Parallel.For(0, count, body);
        }
        catch (AggregateException e)
        {
            ExceptionDispatchInfo.Throw(e.Flatten().InnerExceptions[0]);
        }
    }
}
