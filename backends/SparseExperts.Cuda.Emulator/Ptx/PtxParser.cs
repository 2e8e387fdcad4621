namespace SparseExperts.Cuda.Emulator.Ptx;

/// <summary>
/// PTX text to kernels. What it does not know is an error with file and line, never skipped.
/// </summary>
sealed class PtxParser
{
    readonly PtxTokens _tokens;
    readonly PtxVariables _variables;
    readonly Dictionary<string, PtxKernel> _kernels = [];

    // of the kernel at hand
    readonly Dictionary<string, Register> _registers = [];
    readonly Dictionary<string, int> _labels = [];
    readonly List<PtxStatement> _statements = [];

    PtxParser(PtxTokens tokens, Memory.DeviceMemory memory)
    {
        _tokens = tokens;
        _variables = new(tokens, memory);
    }

    public static PtxModule Parse(string file, ReadOnlySpan<byte> text, Memory.DeviceMemory memory)
    {
        var parser = new PtxParser(new(file, text), memory);
        parser.Module();
        return new(file, parser._kernels);
    }

    void Module()
    {
        while (!_tokens.AtEnd)
        {
            var word = _tokens.Next();
            switch (word)
            {
                case ".version": case ".address_size": _tokens.Next(); break;
                case ".target": do _tokens.Next(); while (_tokens.Take(",")); break;
                case ".visible": case ".weak": break;
                case ".entry": Kernel(); break;
                case ".extern" when _tokens.Peek == ".shared": _tokens.Next(); _variables.Shared(null); break;
                case ".shared": _variables.Shared(null); break;
                case ".global": _variables.Global(constant: false); break;
                case ".const": _variables.Global(constant: true); break;
                default: throw _tokens.Error($"'{word}' at the level of the module is not known here");
            }
        }
    }

    void Kernel()
    {
        var kernel = new PtxKernel(_tokens.File, _tokens.Next()) { Source = _tokens.Source };
        _registers.Clear();
        _labels.Clear();
        _statements.Clear();
        _variables.Begin(kernel);
        Parameters(kernel);
        while (!_tokens.Take("{")) Bound(kernel);
        while (!_tokens.Take("}")) Statement(kernel);
        new Execution.Decoder(_tokens, kernel, _variables, _labels).Decode(_statements);
        if (!_kernels.TryAdd(kernel.Name, kernel)) throw _tokens.Error($"kernel {kernel.Name} is there twice");
    }

    void Parameters(PtxKernel kernel)
    {
        _tokens.Expect("(");
        while (!_tokens.Take(")"))
        {
            _tokens.Expect(".param");
            var alignment = _tokens.Take(".align") ? _tokens.Integer() : 1;
            var type = _tokens.Next()[1..];
            var size = PtxTypes.Size(type);
            if (size <= 0) throw _tokens.Error($"a parameter of type {type}");
            var name = _tokens.Next();
            var count = 1;
            if (_tokens.Take("[")) { count = _tokens.Integer(); type += "[]"; _tokens.Expect("]"); }
            var offset = PtxKernel.RoundUp(kernel.ParameterBytes, Math.Max(alignment, size));
            kernel.Parameters.Add(new(name, type, offset, size * count));
            kernel.ParameterBytes = offset + size * count;
            _tokens.Take(",");
        }
    }

    void Bound(PtxKernel kernel)
    {
        var word = _tokens.Next();
        if (word is not (".maxntid" or ".minnctapersm" or ".maxnreg" or ".reqntid")) throw _tokens.Error($"'{word}' before a kernel's body is not known here");
        var product = _tokens.Integer();
        while (_tokens.Take(",")) product *= _tokens.Integer();
        if (word is ".maxntid" or ".reqntid") kernel.MaxThreads = product;
    }

    void Statement(PtxKernel kernel)
    {
        if (_tokens.PeekSecond == ":")
        {
            if (!_labels.TryAdd(_tokens.Next(), _statements.Count)) throw _tokens.Error("a label that is there already");
            _tokens.Next();
            return;
        }
        var line = _tokens.Line;
        switch (_tokens.Peek)
        {
            case ".reg": _tokens.Next(); Registers(kernel); return;
            case ".shared": _tokens.Next(); _variables.Shared(kernel); return;
            case ".local": _tokens.Next(); _variables.Local(kernel); return;
            case ".pragma": _tokens.Next(); _tokens.Next(); _tokens.Expect(";"); return;
            case ";": _tokens.Next(); return;
        }
        Register? guard = null;
        var not = false;
        if (_tokens.Take("@"))
        {
            not = _tokens.Take("!");
            var name = _tokens.Next();
            guard = _registers.TryGetValue(name, out var register) && register.Size == 0 ? register : throw _tokens.Error($"{name} is no predicate");
        }
        var opcode = _tokens.Next();
        List<PtxOperand> operands = [];
        while (!_tokens.Take(";"))
        {
            operands.Add(Operand());
            if (_tokens.Peek != ";") _tokens.Expect(",");
        }
        _statements.Add(new(line, opcode, [.. operands], guard, not));
    }

    void Registers(PtxKernel kernel)
    {
        var type = _tokens.Next()[1..];
        var size = PtxTypes.Size(type);
        if (size < 0) throw _tokens.Error($"registers of type {type}");
        do
        {
            var name = _tokens.Next();
            if (_tokens.Take("<"))
            {
                var count = _tokens.Integer();
                for (var i = 0; i < count; i++) _registers.Add(name + i, kernel.NewRegister(size));
                _tokens.Expect(">");
            }
            else
                _registers.Add(name, kernel.NewRegister(size));
        }
        while (_tokens.Take(","));
        _tokens.Expect(";");
    }

    PtxOperand Operand()
    {
        if (_tokens.Take("["))
        {
            var at = Operand();
            var offset = at.Kind == OperandKind.Symbol ? 0 : Offset();
            _tokens.Expect("]");
            return new(OperandKind.Memory, at.Name, default, offset, [at]);
        }
        if (_tokens.Take("{"))
        {
            List<PtxOperand> items = [];
            do items.Add(Operand()); while (_tokens.Take(","));
            _tokens.Expect("}");
            return new(OperandKind.Vector, "{}", default, 0, [.. items]);
        }
        var word = _tokens.Next();
        if (word == "_") return new(OperandKind.Discarded, word);
        if (_registers.TryGetValue(word, out var register))
            return _tokens.Take("|") ? new(OperandKind.Register, word, register, 0, [Operand()]) : new(OperandKind.Register, word, register);
        if (word[0] == '%') return new(OperandKind.Special, word);
        if (char.IsAsciiDigit(word[0]) || word[0] == '-') return new(OperandKind.Immediate, word, default, Immediate(word));
        return new(OperandKind.Symbol, word, default, Offset());
    }

    long Offset() => _tokens.Take("+") ? Immediate(_tokens.Next()) : 0;

    long Immediate(string word) => PtxTypes.TryNumber(word, out var bits) ? (long)bits : throw _tokens.Error($"'{word}' is no number");
}
