using System.Diagnostics;

namespace SparseExperts.Cuda.Emulator;

/// <summary>Streams, events and graphs.</summary>
public sealed partial class EmulatedDriver
{
    public CudaStream CreateStream() => new(_queues.Add(new()));

    public void DestroyStream(CudaStream stream)
    {
        if (_fault is null) OnDevice(() => _streams.Run(_queues[stream.Handle]));
        _queues.Remove(stream.Handle);
    }

    public void Synchronize(CudaStream stream) => WaitFor(stream, "Synchronize");

    public CudaEvent CreateEvent() => new(_marks.Add(new()));

    public void DestroyEvent(CudaEvent mark) => _marks.Remove(mark.Handle);

    public void Record(CudaEvent mark, CudaStream stream) => _streams.Record(Queue(stream), _marks[mark.Handle]);

    public void Wait(CudaStream stream, CudaEvent mark) => _streams.Wait(Queue(stream), _marks[mark.Handle]);

    public double Milliseconds(CudaEvent from, CudaEvent to)
    {
        Healthy();
        var (first, second) = (_marks[from.Handle], _marks[to.Handle]);
        if (first.Stream is null || second.Stream is null) throw new CudaFault("Milliseconds: an event that was never recorded; call Record first");
        OnDevice(() =>
        {
            foreach (var mark in (Mark[])[first, second]) _streams.RunUntil(mark.Stream!, () => mark.Passed >= mark.Recorded);
        });
        _waits++;
        return Stopwatch.GetElapsedTime(first.Ticks, second.Ticks).TotalMilliseconds;
    }

    public void BeginCapture(CudaStream stream)
    {
        var queue = Queue(stream);
        queue.Captured = queue.Captured is null ? [] : throw new CudaFault("BeginCapture: the stream is being captured already");
    }

    public CudaGraph EndCapture(CudaStream stream)
    {
        var queue = Queue(stream);
        var work = queue.Captured ?? throw new CudaFault("EndCapture: the stream is not being captured");
        queue.Captured = null;
        return new(_graphs.Add(new(work, [])));
    }

    public CudaGraph CreateGraph(ReadOnlySpan<KernelLaunch> launches)
    {
        Healthy();
        var graph = new Graph([], []);
        foreach (var launch in launches)
        {
            graph.Kernels.Add(_functions[launch.Function.Handle]);
            graph.Work.Add(Ready(graph.Kernels[^1], launch.Shape, launch.Arguments));
        }
        return new(_graphs.Add(graph));
    }

    public void Change(CudaGraph graph, int index, in KernelLaunch launch)
    {
        Healthy();
        var (work, kernels) = _graphs[graph.Handle];
        var kernel = _functions[launch.Function.Handle];
        if ((uint)index >= (uint)kernels.Count) throw new CudaFault($"Change: launch {index} of a graph of {kernels.Count}");
        if (kernels[index] != kernel) throw new CudaFault($"Change: launch {index} is one of {kernels[index].Name}, not of {kernel.Name}; make another graph");
        work[index] = Ready(kernel, launch.Shape, launch.Arguments);
    }

    public void Launch(CudaGraph graph, CudaStream stream)
    {
        Action[] work = [.. _graphs[graph.Handle].Work];            // a later change is not for this launch
        Give(Queue(stream), () =>
        {
            _graphLaunches++;
            foreach (var step in work) step();
        });
    }

    public void DestroyGraph(CudaGraph graph) => _graphs.Remove(graph.Handle);

    void WaitFor(CudaStream stream, string what)
    {
        var queue = Queue(stream);
        if (queue.Captured is not null) throw new CudaFault($"{what}: the stream is being captured and cannot be waited for; end the capture first");
        _waits++;
        OnDevice(() => _streams.Run(queue));
    }
}
