using System.Text;
using System.Text.RegularExpressions;

namespace SparseExperts.Cuda;

/// <summary>What a module's kernels take, read from its PTX text: the driver itself checks nothing.</summary>
static partial class PtxEntries
{
    /// <summary>Bytes of each parameter and whether it is a float, by kernel.</summary>
    public static Dictionary<string, ParameterType[]> Read(string module, ReadOnlySpan<byte> ptx)
    {
        Dictionary<string, ParameterType[]> kernels = [];
        foreach (Match entry in Entry().Matches(Encoding.ASCII.GetString(ptx)))
        {
            var name = entry.Groups[1].Value;
            kernels[name] = [.. Parameter().Matches(entry.Groups[2].Value).Select(p => Type(module, name, p.Groups[1].Value))];
        }
        return kernels;
    }

    static ParameterType Type(string module, string kernel, string type) => type switch
    {
        "u64" or "s64" or "b64" => ParameterType.Long,
        "u32" or "s32" or "b32" => ParameterType.Word,
        "f32" => ParameterType.Float,
        _ => throw new CudaFault($"{module}: kernel {kernel} has a parameter of type .{type}; use 64-bit, 32-bit and float parameters, which arguments have"),
    };

    [GeneratedRegex(@"\.entry\s+(\w+)\s*(?:\(([^)]*)\))?")]
    private static partial Regex Entry();

    [GeneratedRegex(@"\.param\s+(?:\.align\s+\d+\s+)?\.(\w+)")]
    private static partial Regex Parameter();
}

/// <summary>Types of kernel parameters as PTX has them: addresses are 64-bit words.</summary>
enum ParameterType { Long, Word, Float }

/// <summary>A kernel that was asked for: what it takes, and how much dynamic shared memory it has been allowed so far.</summary>
sealed class CudaKernel(string name, ParameterType[] parameters)
{
    public string Name => name;
    public int SharedBytes = 48 * 1024;

    /// <summary>Are these the arguments that the kernel takes?</summary>
    public void Check(ReadOnlySpan<KernelArgument> arguments)
    {
        if (arguments.Length != parameters.Length) throw Fault($"takes {parameters.Length} arguments, {arguments.Length} were given");
        for (var i = 0; i < parameters.Length; i++)
            if (Of(arguments[i].Kind) != parameters[i]) throw Fault($"argument {i} is {arguments[i].Kind}, the kernel takes a {parameters[i]} there");
    }

    CudaFault Fault(string what) => new($"{name}: {what}; a fault of this program, please report it");

    static ParameterType Of(ArgumentKind kind) => kind switch
    {
        ArgumentKind.Float32 => ParameterType.Float,
        ArgumentKind.Int32 => ParameterType.Word,
        _ => ParameterType.Long,
    };
}
