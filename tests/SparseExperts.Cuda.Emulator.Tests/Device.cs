using System.Runtime.InteropServices;
using System.Text;

namespace SparseExperts.Cuda.Emulator.Tests;

/// <summary>An emulated device with one stream, for tests.</summary>
sealed class Device(EmulatorOptions? options = null) : IDisposable
{
    public readonly EmulatedDriver Driver = new(options);
    CudaStream? _stream;

    public CudaStream Stream => _stream ??= Driver.CreateStream();

    public DevicePointer Allocate(int words) => Driver.Allocate(4 * words);

    public DevicePointer Put<T>(params T[] values) where T : unmanaged
    {
        var bytes = MemoryMarshal.AsBytes<T>(values);
        var memory = Driver.Allocate(bytes.Length);
        Driver.CopyToDevice(memory, bytes, Stream);
        return memory;
    }

    public T[] Get<T>(DevicePointer from, int count) where T : unmanaged
    {
        var values = new T[count];
        Driver.CopyToHost(MemoryMarshal.AsBytes(values.AsSpan()), from, Stream);
        return values;
    }

    /// <summary>A kernel that ships.</summary>
    public CudaFunction Shipped(string file, string kernel)
    {
        using var stream = typeof(CudaBackend).Assembly.GetManifestResourceStream(file)!;
        var text = new byte[stream.Length];
        stream.ReadExactly(text);
        return Driver.Function(Driver.LoadModule(file, text), kernel);
    }

    /// <summary>A kernel <c>test</c> from its parameters (types by commas) and its body.</summary>
    public CudaFunction Kernel(string parameters, string body, string before = "")
    {
        var types = parameters.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        var declared = string.Join(",\n", types.Select((t, i) => $".param .{t} p{i}"));
        var text = $$"""
            .version 6.3
            .target sm_70
            .address_size 64
            {{before}}
            .visible .entry test(
            {{declared}}
            )
            {
            .reg .pred %p<10>;
            .reg .b16 %rs<10>;
            .reg .b32 %r<20>;
            .reg .f32 %f<20>;
            .reg .b64 %rd<20>;
            .reg .f64 %fd<10>;
            {{body}}
            ret;
            }
            """;
        return Driver.Function(Driver.LoadModule("test.ptx", Encoding.ASCII.GetBytes(text)), "test");
    }

    public void Run(CudaFunction kernel, LaunchShape shape, params KernelArgument[] arguments)
    {
        Driver.Launch(kernel, shape, arguments, Stream);
        Driver.Synchronize(Stream);
    }

    public void Dispose() => Driver.Dispose();
}
