using ManagedCuda.BasicTypes;
using Driver = ManagedCuda.DriverAPINativeMethods;

namespace SparseExperts.Cuda;

/// <summary>Work that a stream recorded, and graphs of launches.</summary>
public sealed partial class ManagedCudaDriver
{
    /// <summary>Pinned copies of what was uploaded while a stream was recorded: each replay reads them again, so they live as long as the graph.</summary>
    readonly Dictionary<nint, List<nint>> _recording = [], _kept = [];

    /// <summary>Of graphs that were made of launches: what they were instantiated from, and the node of every launch.</summary>
    readonly Dictionary<nint, (CUgraph Graph, CUgraphNode[] Nodes)> _launches = [];

    /// <summary>Relaxed: memory may be had from the driver while work is recorded.</summary>
    public void BeginCapture(CudaStream stream)
    {
        MakeCurrent();
        _staging.Leave(On(stream));
        CudaStatus.Check(Driver.Streams.cuStreamBeginCapture(On(stream), CUstreamCaptureMode.Relaxed), "cuStreamBeginCapture");
        _recording[stream.Handle] = [];
    }

    public CudaGraph EndCapture(CudaStream stream)
    {
        MakeCurrent();
        CUgraph graph = default;
        CUgraphExec ready = default;
        _recording.Remove(stream.Handle, out var kept);
        try
        {
            CudaStatus.Check(Driver.Streams.cuStreamEndCapture(On(stream), ref graph), "cuStreamEndCapture");
            CudaStatus.Check(Driver.GraphManagment.cuGraphInstantiate(ref ready, graph, CUgraphInstantiate_flags.None), "cuGraphInstantiate");
        }
        catch (CudaFault)
        {
            FreeHost(kept);
            throw;
        }
        finally
        {
            if (graph.Pointer != 0) _ = Driver.GraphManagment.cuGraphDestroy(graph);
        }
        _kept[ready.Pointer] = kept ?? [];
        return new(ready.Pointer);
    }

    public CudaGraph CreateGraph(ReadOnlySpan<KernelLaunch> launches)
    {
        MakeCurrent();
        CUgraph graph = default;
        CUgraphExec ready = default;
        var nodes = new CUgraphNode[launches.Length];
        CudaStatus.Check(Driver.GraphManagment.cuGraphCreate(ref graph, 0), "cuGraphCreate");
        try
        {
            for (var i = 0; i < nodes.Length; i++)
            {
                var node = Node(launches[i]);
                CUgraphNode[] before = i == 0 ? [] : [nodes[i - 1]];
                CudaStatus.Check(
                    Driver.GraphManagment.cuGraphAddKernelNode(ref nodes[i], graph, before, (SizeT)(ulong)before.Length, ref node), "cuGraphAddKernelNode");
            }
            CudaStatus.Check(Driver.GraphManagment.cuGraphInstantiate(ref ready, graph, CUgraphInstantiate_flags.None), "cuGraphInstantiate");
        }
        catch (CudaFault)
        {
            _ = Driver.GraphManagment.cuGraphDestroy(graph);
            throw;
        }
        _launches[ready.Pointer] = (graph, nodes);                  // nodes are named by the graph that they were added to
        return new(ready.Pointer);
    }

    public void Change(CudaGraph graph, int index, in KernelLaunch launch)
    {
        MakeCurrent();
        var node = Node(launch);
        CudaStatus.Check(
            Driver.GraphManagment.cuGraphExecKernelNodeSetParams(new() { Pointer = graph.Handle }, _launches[graph.Handle].Nodes[index], ref node),
            $"cuGraphExecKernelNodeSetParams of {_kernels[launch.Function.Handle].Name}");
    }

    /// <summary>Arguments lie where the next launch puts its own: the driver copies them in the call.</summary>
    CudaKernelNodeParams Node(in KernelLaunch launch)
    {
        Prepare(launch.Function, launch.Shape, launch.Arguments);
        return new()
        {
            func = new() { Pointer = launch.Function.Handle },
            gridDimX = (uint)launch.Shape.BlocksX,
            gridDimY = (uint)launch.Shape.BlocksY,
            gridDimZ = (uint)launch.Shape.BlocksZ,
            blockDimX = (uint)launch.Shape.ThreadsX,
            blockDimY = (uint)launch.Shape.ThreadsY,
            blockDimZ = 1,
            sharedMemBytes = (uint)launch.Shape.SharedBytes,
            kernelParams = System.Runtime.InteropServices.Marshal.UnsafeAddrOfPinnedArrayElement(_slotAddresses, 0),
        };
    }

    public void Launch(CudaGraph graph, CudaStream stream)
    {
        MakeCurrent();
        CudaStatus.Check(Driver.GraphManagment.cuGraphLaunch(new() { Pointer = graph.Handle }, On(stream)), "cuGraphLaunch");
    }

    /// <summary>Replays that were given to a stream must have ended.</summary>
    public void DestroyGraph(CudaGraph graph)
    {
        MakeCurrent();
        CudaStatus.Check(Driver.GraphManagment.cuGraphExecDestroy(new() { Pointer = graph.Handle }), "cuGraphExecDestroy");
        if (_kept.Remove(graph.Handle, out var kept)) FreeHost(kept);
        if (_launches.Remove(graph.Handle, out var made)) CudaStatus.Check(Driver.GraphManagment.cuGraphDestroy(made.Graph), "cuGraphDestroy");
    }

    static void FreeHost(List<nint>? blocks)
    {
        foreach (var block in blocks ?? []) _ = Driver.MemoryManagement.cuMemFreeHost(block);
    }
}
