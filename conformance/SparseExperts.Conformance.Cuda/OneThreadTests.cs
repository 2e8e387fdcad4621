using SparseExperts.Cuda;
using Xunit;

namespace SparseExperts.Conformance.Cuda;

/// <summary>A backend has one queue of launches and one pool: whoever comes while another thread is in them is told so.</summary>
public sealed class OneThreadTests
{
    [Fact]
    public void A_thread_that_comes_while_another_is_there_is_refused()
    {
        var driver = new SilentDriver();
        using var backend = new CudaBackend(driver);
        Matrix x = backend.Rent(4, 4), y = backend.Rent(4, 4);
        Action[] calls = [() => backend.Copy(x, y), () => backend.Rent(4, 4), () => backend.Return(y.Storage), () => backend.ToArray(y)];
        List<string> refused = [];
        driver.Launched = _ =>
        {
            driver.Launched = _ => { };
            // Within a launch of this thread another thread comes.
            foreach (var call in calls)
            {
                var other = new Thread(() => refused.Add(Record.Exception(call)?.Message ?? "served"));
                other.Start();
                other.Join();
            }
        };
        backend.Fill(x, 1);
        Assert.Equal(Enumerable.Repeat("two threads use one backend 'cuda' at the same time; give each thread a backend of its own", calls.Length), refused);
        var later = new Thread(() => backend.Fill(x, 2));            // threads may take turns
        later.Start();
        later.Join();
    }

    /// <summary>A plan has integers that the device writes, so that the host keeps no room for them.</summary>
    [Fact]
    public void Integers_that_the_host_has_not_written_take_no_memory_of_the_host()
    {
        using var backend = new CudaBackend(new SilentDriver());
        backend.Return(backend.Rent(ElementType.Integer, 1));
        var before = GC.GetAllocatedBytesForCurrentThread();
        var storage = backend.Rent(ElementType.Integer, 1 << 20);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 1 << 16);
        backend.Write(storage, 5, [3, 4]);
        var read = new int[3];
        backend.Read(storage, 4, read);
        Assert.Equal([0, 3, 4], read);
    }
}
